"""The square crop that the networks get, cut from an image around a face, and its placement back into the image.

A crop's matrix is (2, 3) from image to crop pixels.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.media.array_types import ImageArray

CropMatrix = NDArray[np.float32]

SIDE, INPUT = 512, 256  # pixels of a source crop, and of the extractors' input
RIM_PX = 16.0  # crop pixels over which the crop fades into the image


@dataclass(frozen=True, slots=True)
class Square:
    """A crop in image pixels: its centre, its side, and the angle (radians) by which it is rotated.

    Values are rounded to float32 where the published code does so: warping works in steps of 1/32 pixel, and a matrix
    that differs in its last bits gives a different image.
    """

    centre: NDArray[np.float32]
    side: float
    angle: float

    def to_crop(self, size: int, *, upright: bool = False) -> CropMatrix:
        """Return the matrix, (2, 3), from image pixels to pixels of a crop with side `size`."""
        scale = size / self.side
        angle = 0.0 if upright else self.angle
        c, s = np.cos(angle), np.sin(angle)
        x, y = (float(v) for v in self.centre)
        half = size / 2
        rows = [
            [scale * c, scale * s, half - scale * (c * x + s * y)],
            [-scale * s, scale * c, half - scale * (-s * x + c * y)],
        ]
        return np.asarray(rows, np.float32)

    def corners(self, *, upright: bool = False) -> NDArray[np.float32]:
        """Return the corners, (4, 2): top left, top right, bottom right, bottom left."""
        half = self.side / 2
        square = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
        corners = np.asarray(self.centre.astype(np.float64) + square, np.float32)
        if upright:
            return corners
        c, s = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[c, s], [-s, c]], np.float32)
        return np.asarray((corners - self.centre) @ turn + self.centre, np.float32)


def square(
    points: ArrayLike, eyes: ArrayLike, mouth: ArrayLike, scale: float, shift: float, aside: float = 0.0
) -> Square:
    """Return the square around a face.

    points: (N, 2) points whose extent is measured along the face's own axes. eyes, mouth: (2,) the middle of both eyes
        and of the mouth, which define those axes. scale: ratio of the side to the points' longer extent. shift, aside:
        offset of the centre, in sides, towards the chin (negative is up) and to the right.
    """
    cloud = np.asarray(points, np.float32)
    down = np.asarray(mouth, np.float32) - np.asarray(eyes, np.float32)
    length = np.linalg.norm(down)
    down = down / length if length > 1e-3 else np.array([0, 1], np.float32)
    right = np.array([down[1], -down[0]], np.float32)
    angle = math.acos(min(1.0, max(-1.0, float(right[0]))))
    mean = cloud.mean(axis=0)
    turned = (cloud - mean) @ np.array([right, down]).T
    low, high = turned.min(axis=0), turned.max(axis=0)
    side = (high - low).max() * np.float32(scale)
    middle = (low + high) / np.float32(2)
    centre = mean + right * middle[0] + down * middle[1]
    centre = centre + right * (np.float32(aside) * side) + down * (np.float32(shift) * side)
    return Square(centre.astype(np.float32), float(side), -angle if right[1] < 0 else angle)


def cut_crop(image: ImageArray, matrix: CropMatrix, size: int) -> ImageArray:
    """Cut the crop from an image; black where it extends beyond the image."""
    return np.asarray(cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR), np.uint8)


def rim_mask() -> NDArray[np.uint8]:
    """Return a (512, 512) uint8 mask: 255 inside the crop, fading over its last 16 pixels."""
    at = np.arange(SIDE, dtype=np.float64)
    out = np.maximum(np.maximum(RIM_PX - at, at - (SIDE - RIM_PX)), 0.0)
    away = np.hypot(out[:, None], out[None])
    return np.asarray(np.floor(255 * np.clip(1.0 - away / RIM_PX, 0.0, 1.0)), np.uint8)


def crop_to_image(matrix: CropMatrix) -> CropMatrix:
    """Return the inverse matrix, from crop to image pixels."""
    square_matrix = np.vstack([matrix, np.array([0, 0, 1], np.float32)])
    return np.asarray(np.linalg.inv(square_matrix)[:2], np.float32)


def spread_mask(matrix: CropMatrix, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return how much of each pixel of a (W, H) image the crop covers, (H, W) float32 0..1."""
    mask = cv2.warpAffine(rim_mask(), crop_to_image(matrix), size, flags=cv2.INTER_LINEAR)
    return np.asarray(mask, np.float32) / np.float32(255)
