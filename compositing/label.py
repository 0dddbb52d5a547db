"""The visible "AI-generated" label that law in several countries asks for, drawn by whatever shows a frame.

The program travels without it. NumPy alone draws it: a process that shows frames need not load the compositor's
compiled loop, whose pixels these are to the bit.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.avatar.skin import RGB_TO_YUV, YUV_BASE
from shared.media.array_types import ImageArray, PixelBox
from shared.media.colour import planes

TEXT = "AI-generated"
HEIGHT = 0.032  # of the frame's height
MIN_HEIGHT_PX = 16  # smaller letters cannot be read
MARGIN = 0.6  # distance to the frame's corner, in heights of the label
BOX_ALPHA = 150  # of 255: the frame shines through, the letters stay readable on white
SIZES_KEPT = 4  # frame sizes whose label is kept: one program, and those it changes to
OPAQUE = 256


@dataclass(frozen=True, slots=True)
class PlaneOverlay:
    """One plane of the label: a sample `old` becomes (old * keep + add) >> 8. keep, add: (h, w) uint16."""

    keep: NDArray[np.uint16]
    add: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class LabelOverlay:
    """The label for frames of one size. box: x, y, w, h, all even. planes: of Y, U and V."""

    box: PixelBox
    planes: tuple[PlaneOverlay, PlaneOverlay, PlaneOverlay]


def draw_label(i420: ImageArray) -> PixelBox | None:
    """Draw the label into the bottom left corner of an I420 frame, in place, and return its (x, y, w, h).

    Nothing outside the box is touched. None, and nothing drawn, where the frame is too small for it. Thread-safe, as
    long as the frame is the caller's own.
    """
    overlay = label_overlay(i420.shape[1], i420.shape[0] * 2 // 3)
    if overlay is None:
        return None
    x, y, w, h = overlay.box
    for plane, over, half in zip(planes(i420), overlay.planes, (1, 2, 2), strict=True):
        part = plane[y // half : (y + h) // half, x // half : (x + w) // half]
        blended = part * over.keep
        blended += over.add
        blended >>= 8
        part[:] = blended
    return overlay.box


@functools.lru_cache(SIZES_KEPT)
def label_overlay(width: int, height: int) -> LabelOverlay | None:
    """The label for frames of this size, None where it does not fit. The first one of a size takes milliseconds."""
    tall = _even(max(MIN_HEIGHT_PX, height * HEIGHT))
    patch = render_label(TEXT, tall)
    margin = _even(tall * MARGIN)
    if patch.shape[1] > width or tall > height:
        return None
    x, y = min(margin, _even(width - patch.shape[1])), max(0, _even(height - margin - tall))
    quads = patch.reshape(tall // 2, 2, patch.shape[1] // 2, 2, 4).sum(axis=(1, 3), dtype=np.int64)
    return LabelOverlay(
        (x, y, patch.shape[1], tall),
        (_plane(patch.astype(np.int64), 0, 1), _plane(quads, 1, 4), _plane(quads, 2, 4)),
    )


def render_label(text: str, tall: int) -> NDArray[np.uint8]:
    """(tall, w, 4) uint8 RGBA: white letters on a dark translucent box with round corners, w even."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=tall * 0.58)
    left, _, right, _ = font.getbbox(text)
    padding = tall * 0.42
    wide = _even(right - left + 2 * padding + 1)
    # Four times as large and averaged down: Pillow does not smooth the box's corners.
    box = Image.new("L", (wide * 4, tall * 4), 0)
    ImageDraw.Draw(box).rounded_rectangle((0, 0, wide * 4 - 1, tall * 4 - 1), radius=tall * 1.1, fill=BOX_ALPHA)
    ground = np.asarray(box.resize((wide, tall), Image.Resampling.BOX), np.float64)
    letters = Image.new("L", (wide, tall), 0)
    ImageDraw.Draw(letters).text((wide / 2, tall / 2), text, fill=255, font=font, anchor="mm")
    ink = np.asarray(letters, np.float64)
    alpha = np.maximum(ground, ink)
    # Ink over the box, as a colour without its alpha.
    grey = np.divide(255.0 * ink, alpha, out=np.zeros_like(ink), where=alpha > 0).clip(0, 255)
    return np.asarray(np.rint(np.dstack([grey, grey, grey, alpha])), np.uint8)


def _plane(rgba: NDArray[np.int64], row: int, count: int) -> PlaneOverlay:
    """One row of Y, U, V. rgba: (h, w, 4), sums of `count` pixels. Rounded where `compositing.kernel` rounds."""
    matrix = np.rint(np.append(RGB_TO_YUV[row], YUV_BASE[row] + 0.5) * (1 << 14)).astype(np.int64)
    value = (rgba[..., :3] @ matrix[:3] + matrix[3] * count) // (count << 14)
    value = value.clip(16, 240 if row else 235)
    alpha = (rgba[..., 3] * OPAQUE + count // 2) // count
    alpha = (alpha + (alpha >> 7) + 128) >> 8  # 0 to OPAQUE
    # The sum never exceeds 255 * 256 + 128, which 16 bits hold.
    return PlaneOverlay((OPAQUE - alpha).astype(np.uint16), (value * alpha + 128).astype(np.uint16))


def _even(value: float) -> int:
    return int(round(value / 2)) * 2
