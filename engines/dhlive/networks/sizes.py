"""Numbers of the networks that other parts need without PyTorch."""

COEFFICIENTS = 6  # of the mouth, one set for each video frame
STYLE = 64  # numbers that are a person to the second mini generation
FEATURES = (20, 18, 18)  # of a person, to the first
