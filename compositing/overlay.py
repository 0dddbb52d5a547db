"""Overlays for frames: letters on a translucent ground, prepared once as planes with which frames are blended.

Drawing uses NumPy alone, so a process that shows frames need not load the compositor's compiled loop; the resulting
pixels are bit for bit the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.avatar.skin import RGB_TO_YUV, YUV_BASE
from shared.media.array_types import ImageArray, PixelBox
from shared.media.colour import planes

OPAQUE = 256


@dataclass(frozen=True, slots=True)
class PlaneOverlay:
    """One plane of an overlay: a sample `old` becomes (old * keep + add) >> 8. keep, add: (h, w) uint16."""

    keep: NDArray[np.uint16]
    add: NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """An overlay at a fixed place in frames of one size. box: x, y, w, h, all even. planes: Y, U and V."""

    box: PixelBox
    planes: tuple[PlaneOverlay, PlaneOverlay, PlaneOverlay]

    def draw(self, i420: ImageArray) -> None:
        """Draw the overlay into a frame of that size, in place; pixels outside the box do not change."""
        x, y, w, h = self.box
        for plane, over, half in zip(planes(i420), self.planes, (1, 2, 2), strict=True):
            part = plane[y // half : (y + h) // half, x // half : (x + w) // half]
            blended = part * over.keep
            blended += over.add
            blended >>= 8
            part[:] = blended


def overlay_at(x: int, y: int, patch: NDArray[np.uint8]) -> Overlay:
    """Return an overlay of (h, w, 4) uint8 RGBA whose upper left corner is at x, y; all four numbers are even."""
    tall, wide = patch.shape[:2]
    quads = patch.reshape(tall // 2, 2, wide // 2, 2, 4).sum(axis=(1, 3), dtype=np.int64)
    return Overlay((x, y, wide, tall), (_plane(patch.astype(np.int64), 0, 1), _plane(quads, 1, 4), _plane(quads, 2, 4)))


def white_on(ground: NDArray[np.float64], ink: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return white letters on a black ground, (h, w, 4) uint8 RGBA. ground, ink: (h, w), their alpha from 0 to 255."""
    alpha = np.maximum(ground, ink)
    # Colour of the ink over the ground, not premultiplied.
    grey = np.divide(255.0 * ink, alpha, out=np.zeros_like(ink), where=alpha > 0).clip(0, 255)
    return np.asarray(np.rint(np.dstack([grey, grey, grey, alpha])), np.uint8)


def rounded_box(wide: int, tall: int, radius: float, alpha: int) -> NDArray[np.float64]:
    """Return the alpha of a box with round corners, (tall, wide). radius: in pixels."""
    from PIL import Image, ImageDraw

    # Drawn four times as large and averaged down, because Pillow does not anti-alias the corners.
    box = Image.new("L", (wide * 4, tall * 4), 0)
    ImageDraw.Draw(box).rounded_rectangle((0, 0, wide * 4 - 1, tall * 4 - 1), radius=radius * 4, fill=alpha)
    return np.asarray(box.resize((wide, tall), Image.Resampling.BOX), np.float64)


def even(value: float) -> int:
    """Return the nearest even number."""
    return int(round(value / 2)) * 2


def _plane(rgba: NDArray[np.int64], row: int, count: int) -> PlaneOverlay:
    """Compute one of the planes Y, U, V, rounded exactly as in `compositing.kernel`.

    row: index of the plane. rgba: (h, w, 4), sums of `count` pixels.
    """
    matrix = np.rint(np.append(RGB_TO_YUV[row], YUV_BASE[row] + 0.5) * (1 << 14)).astype(np.int64)
    value = (rgba[..., :3] @ matrix[:3] + matrix[3] * count) // (count << 14)
    value = value.clip(16, 240 if row else 235)
    alpha = (rgba[..., 3] * OPAQUE + count // 2) // count
    alpha = (alpha + (alpha >> 7) + 128) >> 8  # 0 to OPAQUE
    # The sum never exceeds 255 * 256 + 128, which fits 16 bits.
    return PlaneOverlay((OPAQUE - alpha).astype(np.uint16), (value * alpha + 128).astype(np.uint16))
