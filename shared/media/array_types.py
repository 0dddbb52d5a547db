"""Names for the array types of images, sound and measurements."""

import numpy as np
from numpy.typing import NDArray

ImageArray = NDArray[np.uint8]
"""Pixels of a frame or an image: (H, W, 3 or 4) RGB, (H, W) of one plane, or (H * 3 / 2, W) I420."""

AudioSamples = NDArray[np.int16]
"""(n,) mono samples at 48 kHz, or (n, channels) where a function has several channels."""

FloatArray = NDArray[np.float32]
"""Single-precision numbers of any meaning."""

PixelBox = tuple[int, int, int, int]
"""A rectangle in whole pixels: x, y, width, height."""
