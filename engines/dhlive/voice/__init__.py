"""Six mouth coefficients from a voice, 25 times per second."""
