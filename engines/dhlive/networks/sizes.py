"""Sizes of the networks that other modules need without importing PyTorch."""

COEFFICIENTS = 6  # of the mouth, one set per video frame
STYLE = 64  # numbers that represent a person in the second mini generation
FEATURES = (20, 18, 18)  # shape of the features that represent a person in the first mini generation
