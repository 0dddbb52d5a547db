"""Rotated square region of an image, the input of a network."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

MARGIN = 1.5  # side of the square over the longer side of the face


@dataclass(frozen=True, slots=True)
class Region:
    """A rotated square in an image.

    x, y: centre in pixels, where whole numbers are corners of pixels. side: length in pixels. angle: rotation in
    radians, clockwise in the image.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def cut(self, rgb: NDArray[np.uint8], size: int, border: int) -> NDArray[np.uint8]:
        """Return the region as (size, size, 3) uint8. border: OpenCV's BORDER_... for pixels outside the image."""
        step = self.side / size
        cosine, sine = step * math.cos(self.angle), step * math.sin(self.angle)
        half = size / 2
        to_image = np.array(
            [
                [cosine, -sine, self.x - (cosine - sine) * half],
                [sine, cosine, self.y - (sine + cosine) * half],
            ]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cut = cv2.warpAffine(rgb, to_image, (size, size), flags=flags, borderMode=border, borderValue=(0, 0, 0))
        return np.asarray(cut, np.uint8)

    def to_image(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert (N, 3) points, 0 to 1 across the square, to pixels of the image, with z in the same unit."""
        cosine, sine = self.side * math.cos(self.angle), self.side * math.sin(self.angle)
        turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, self.side]], np.float32)
        moved = (points - _MIDDLE) @ turn.T + np.array([self.x, self.y, 0], np.float32)
        return np.asarray(moved, np.float32)


_MIDDLE = np.array([0.5, 0.5, 0.0], np.float32)


def region_around(
    low: NDArray[np.float32], high: NDArray[np.float32], right: NDArray[np.float32], left: NDArray[np.float32]
) -> Region:
    """Return the region of the face in the box from `low` to `high`, rotated to make `right` and `left` level in it.

    All four are (2,), in pixels; right and left are the subject's own.
    """
    x, y = (low + high) / 2
    dx, dy = left - right
    return Region(float(x), float(y), float(np.max(high - low)) * MARGIN, math.atan2(float(dy), float(dx)))
