"""The turned square of an image that a network looks at."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

MARGIN = 1.5  # side of the square over the longer side of the face


@dataclass(frozen=True, slots=True)
class Region:
    """A square in an image.

    x, y: its centre in pixels, corners of pixels being whole numbers. side: in pixels. angle: clockwise as the image
    shows it, radians.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def cut(self, rgb: NDArray[np.uint8], size: int, border: int) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 of what lies in it. border: what is outside the image, as OpenCV's BORDER_..."""
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
        """(N, 3) points in pixels of the image, z in the same unit, of such where the square reaches from 0 to 1."""
        cosine, sine = self.side * math.cos(self.angle), self.side * math.sin(self.angle)
        turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, self.side]], np.float32)
        moved = (points - _MIDDLE) @ turn.T + np.array([self.x, self.y, 0], np.float32)
        return np.asarray(moved, np.float32)


_MIDDLE = np.array([0.5, 0.5, 0.0], np.float32)


def region_around(
    low: NDArray[np.float32], high: NDArray[np.float32], right: NDArray[np.float32], left: NDArray[np.float32]
) -> Region:
    """The region of the face in the box from `low` to `high`, turned as two points of it that are level.

    Each (2,), pixels.
    """
    x, y = (low + high) / 2
    dx, dy = left - right
    return Region(float(x), float(y), float(np.max(high - low)) * MARGIN, math.atan2(float(dy), float(dx)))
