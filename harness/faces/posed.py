"""The sample portrait in several poses, the input for comparisons of face tracking."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.samples import sample_portrait
from shared.media.array_types import ImageArray

WIDTH_PX, HEIGHT_PX = 640, 480
MOVING_FRAMES = 21
FACE = (448.0, 265.0)  # centre of the face in the portrait, pixels
GREY = (128, 128, 128)


def moving_face() -> NDArray[np.uint8]:
    """Return (21, 480, 640, 3) uint8 RGB: a video in which the portrait shifts, turns and grows."""
    times = np.linspace(0.0, 1.0, MOVING_FRAMES)
    return np.stack(
        [_posed(200 + 240 * t, 250 + 30 * np.sin(9 * t), 40 * np.sin(5 * t), 0.55 + 0.35 * t) for t in times]
    )


def two_faces() -> ImageArray:
    """Return (480, 640, 3) uint8 RGB: a large face with a smaller, rotated one beside it."""
    image = _posed(170, 230, 0, 0.8)
    image[:, 330:] = _posed(480, 240, 25, 0.6)[:, 330:]
    return image


def small_face() -> ImageArray:
    """Return (480, 640, 3) uint8 RGB: a face 60 pixels high."""
    return _posed(420, 180, 0, 0.25)


def _posed(x: float, y: float, degrees: float, scale: float) -> ImageArray:
    """Return the portrait with the centre of its face at (x, y), rotated clockwise by `degrees`."""
    matrix = np.asarray(cv2.getRotationMatrix2D(FACE, -degrees, scale), np.float64)
    matrix[:, 2] += np.array([x, y]) - FACE
    shrunk = sample_portrait()
    if scale < 0.5:  # blurred first: sampling alone would skip pixels
        shrunk = np.asarray(cv2.GaussianBlur(shrunk, (0, 0), 0.4 / scale), np.uint8)
    return np.asarray(cv2.warpAffine(shrunk, matrix, (WIDTH_PX, HEIGHT_PX), borderValue=GREY), np.uint8)
