"""Reads users' still images with limits on their size; failures become one sentence."""

from pathlib import Path

from shared.media.array_types import ImageArray
from shared.media.display.still_colour import shown_still
from shared.media.intake.image_open import opened_image


def read_image(path: Path) -> ImageArray:
    """Return the image as (H, W, 3) uint8 sRGB, upright, with transparency over grey. Raises like `read_cut_out`."""
    return read_cut_out(path)[0]


def read_cut_out(path: Path) -> tuple[ImageArray, ImageArray | None]:
    """Return the image like `read_image`, and its (H, W) uint8 alpha, None if it is fully opaque.

    Raises StudioError like `opened_image`.
    """
    with opened_image(path) as image:
        return shown_still(image)
