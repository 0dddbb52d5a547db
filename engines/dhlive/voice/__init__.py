"""From a voice to six mouth coefficients, 25 times a second."""
