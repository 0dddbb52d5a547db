"""The control image: a half-face mesh deformed by the coefficients, drawn on the CPU."""
