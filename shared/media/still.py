"""Reading still images that users bring: bounded, never half, one sentence when it fails."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared.errors import StudioError, short
from shared.media.array_types import ImageArray

if TYPE_CHECKING:  # Pillow is imported where it is used only: live services have no need of it
    from PIL import Image


MAX_IMAGE_PIXELS = 50_000_000
MAX_IMAGE_BYTES = 64 << 20
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
BACKDROP = 128  # grey behind a transparent portrait: neutral to every colour measure taken from it later


def read_image(path: Path) -> ImageArray:
    """The image as (H, W, 3) uint8 RGB in sRGB, upright, transparency over grey.

    Its size is checked before anything is decoded. Raises StudioError for a file that is missing, empty,
    truncated, damaged, of an unknown format, over 64 MB or over 50 megapixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = path.name
    try:
        size = path.stat().st_size
        if size == 0:
            raise StudioError(f"{name} is empty; give a JPEG, PNG or WebP image.")
        if size > MAX_IMAGE_BYTES:
            raise StudioError(f"{name} has {size >> 20} MB, more than {MAX_IMAGE_BYTES >> 20} MB; use a smaller image.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large and odd images; the checks below refuse them
            with Image.open(path, formats=IMAGE_FORMATS) as image:
                if image.width * image.height > MAX_IMAGE_PIXELS:
                    raise StudioError(_too_many_pixels(name, f"{image.width}x{image.height}"))
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError:
        raise StudioError(_too_many_pixels(name, "far too many")) from None
    except FileNotFoundError:
        raise StudioError(f"There is no file {path}.") from None
    except UnidentifiedImageError:
        raise StudioError(f"{name} is not an image that can be read; give a JPEG, PNG or WebP file.") from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        # SyntaxError is what Pillow's PNG reader raises for broken chunks.
        raise StudioError(f"{name} is truncated or damaged ({short(error)}); save it again and retry.") from None


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


def _too_many_pixels(name: str, size: str) -> str:
    return f"{name} has {size} pixels, more than {MAX_IMAGE_PIXELS // 1_000_000} megapixels; use a smaller image."
