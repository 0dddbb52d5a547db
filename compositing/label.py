"""The visible "AI-generated" label that law in several countries asks for."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compositing.blend import blend_patch
from shared.media.array_types import ImageArray, PixelBox
from shared.media.colour import crop

TEXT = "AI-generated"
HEIGHT = 0.032  # of the frame's height
MIN_HEIGHT_PX = 16  # smaller letters cannot be read
MARGIN = 0.6  # distance to the frame's corner, in heights of the label
BOX_ALPHA = 150  # of 255: the frame shines through, the letters stay readable on white


@dataclass(slots=True)
class Label:
    """Draws the label into frames of any size; made once per size. Not thread-safe."""

    text: str = TEXT
    _made: dict[tuple[int, int], tuple[NDArray[np.uint8], int, int]] = field(
        init=False, repr=False, default_factory=dict
    )

    def draw(self, program: ImageArray, opacity: float = 1.0) -> PixelBox:
        """Blend the label into the bottom left corner of an I420 frame, in place, and return its (x, y, w, h)."""
        patch, x, y = self._of(program)
        return blend_patch(program, patch, x, y, opacity) if patch.size else (0, 0, 0, 0)

    def under(self, program: ImageArray) -> ImageArray:
        """A copy of what the label would cover, as I420; empty where it does not fit."""
        patch, x, y = self._of(program)
        return crop(program, x, y, patch.shape[1], patch.shape[0])

    def _of(self, program: ImageArray) -> tuple[NDArray[np.uint8], int, int]:
        size = program.shape[1], program.shape[0] * 2 // 3
        if size not in self._made:
            self._made.clear()  # a channel has one size at a time
            self._made[size] = layout(self.text, *size)
        return self._made[size]


def layout(text: str, width: int, height: int) -> tuple[NDArray[np.uint8], int, int]:
    """((h, w, 4) uint8 RGBA, x, y) of the label in a frame of this size; empty where it does not fit."""
    tall = _even(max(MIN_HEIGHT_PX, height * HEIGHT))
    patch = render_label(text, tall)
    margin = _even(tall * MARGIN)
    x, y = margin, _even(height - margin - tall)
    if patch.shape[1] > width or tall > height:
        return np.empty((0, 0, 4), np.uint8), 0, 0
    return patch, min(x, _even(width - patch.shape[1])), max(0, y)


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


def _even(value: float) -> int:
    return int(round(value / 2)) * 2
