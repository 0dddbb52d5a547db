"""The visible "AI-generated" label that the law of several countries requires.

It is drawn by the output that shows a frame; the program is transmitted without it.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from compositing.overlay import Overlay, even, overlay_at, rounded_box, white_on
from shared.media.array_types import ImageArray, PixelBox

TEXT = "AI-generated"
HEIGHT = 0.032  # of the frame's height
MIN_HEIGHT_PX = 16  # smaller letters are unreadable
MARGIN = 0.6  # distance to the frame's corner, in heights of the label
BOX_ALPHA = 150  # of 255: the frame is visible through the box, and the letters stay readable on white
SIZES_KEPT = 4  # number of frame sizes whose label is cached: a program may change its size


def draw_label(i420: ImageArray) -> PixelBox | None:
    """Draw the label into the bottom left corner of an I420 frame, in place, and return its (x, y, w, h).

    Pixels outside the box do not change. Returns None, and draws nothing, if the frame is too small. Thread-safe as
    long as the frame is the caller's own.
    """
    overlay = label_overlay(i420.shape[1], i420.shape[0] * 2 // 3)
    if overlay is None:
        return None
    overlay.draw(i420)
    return overlay.box


@functools.lru_cache(SIZES_KEPT)
def label_overlay(width: int, height: int) -> Overlay | None:
    """Return the label for frames of this size, None if it does not fit. A size's first call takes milliseconds."""
    tall = even(max(MIN_HEIGHT_PX, height * HEIGHT))
    patch = render_label(TEXT, tall)
    margin = even(tall * MARGIN)
    if patch.shape[1] > width or tall > height:
        return None
    return overlay_at(min(margin, even(width - patch.shape[1])), max(0, even(height - margin - tall)), patch)


def render_label(text: str, tall: int) -> NDArray[np.uint8]:
    """Draw a label: white letters on a dark translucent box with rounded corners.

    Returns (tall, w, 4) uint8 RGBA; w is even.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=tall * 0.58)
    left, _, right, _ = font.getbbox(text)
    padding = tall * 0.42
    wide = even(right - left + 2 * padding + 1)
    ground = rounded_box(wide, tall, tall * 0.275, BOX_ALPHA)
    letters = Image.new("L", (wide, tall), 0)
    ImageDraw.Draw(letters).text((wide / 2, tall / 2), text, fill=255, font=font, anchor="mm")
    return white_on(ground, np.asarray(letters, np.float64))
