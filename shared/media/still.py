"""Reading still images that users bring: bounded, never half, one sentence when it fails."""

from pathlib import Path

from shared.media.array_types import ImageArray
from shared.media.display.still_colour import shown_still
from shared.media.intake.image_open import opened_image


def read_image(path: Path) -> ImageArray:
    """The image as (H, W, 3) uint8 RGB in sRGB, upright, transparency over grey. Raises as `read_cut_out`."""
    return read_cut_out(path)[0]


def read_cut_out(path: Path) -> tuple[ImageArray, ImageArray | None]:
    """The image as `read_image` gives it, and its (H, W) uint8 alpha; None where it is opaque throughout.

    Raises StudioError as `opened_image`.
    """
    with opened_image(path) as image:
        return shown_still(image)
