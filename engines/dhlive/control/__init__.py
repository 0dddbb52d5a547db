"""The control image: a half-face mesh under the coefficients, drawn on the CPU."""
