"""Reading still images that users bring: bounded, never half, one sentence when it fails."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared.media.array_types import ImageArray
from shared.media.intake.image_open import opened_image

if TYPE_CHECKING:  # Pillow is imported where it is used only: live services have no need of it
    from PIL import Image


BACKDROP = 128  # grey behind a transparent portrait: neutral to every colour measure taken from it later


def read_image(path: Path) -> ImageArray:
    """The image as (H, W, 3) uint8 RGB in sRGB, upright, transparency over grey.

    Raises StudioError as `opened_image`.
    """
    from PIL import ImageOps

    with opened_image(path) as image:
        return _to_rgb(ImageOps.exif_transpose(image))


def _to_rgb(image: "Image.Image") -> ImageArray:
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bit grey: Pillow would clip it instead of scaling
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    image = _in_srgb(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        backdrop = Image.new("RGBA", rgba.size, (BACKDROP, BACKDROP, BACKDROP, 255))
        image = Image.alpha_composite(backdrop, rgba)
    return np.array(image.convert("RGB"), np.uint8)


def _in_srgb(image: "Image.Image") -> "Image.Image":
    """Phones save Display P3; taken as sRGB its skin would be pale."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA"):
        return image
    try:
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), target) or image
    except (ImageCms.PyCMSError, OSError):
        return image  # a broken profile says nothing; the pixels still do
