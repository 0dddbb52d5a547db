"""Reading still images that users bring: bounded, never half, one sentence when it fails."""

import warnings
from pathlib import Path

from shared.errors import StudioError, short
from shared.media.array_types import ImageArray
from shared.media.display.still_colour import shown_still

MAX_IMAGE_PIXELS = 50_000_000
MAX_IMAGE_BYTES = 64 << 20
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")


def read_image(path: Path) -> ImageArray:
    """The image as (H, W, 3) uint8 RGB in sRGB, upright, transparency over grey. Raises as `read_cut_out`."""
    return read_cut_out(path)[0]


def read_cut_out(path: Path) -> tuple[ImageArray, ImageArray | None]:
    """The image as `read_image` gives it, and its (H, W) uint8 alpha; None where it is opaque throughout.

    Its size is checked before anything is decoded. Raises StudioError for a file that is missing, empty,
    truncated, damaged, of an unknown format, over 64 MB or over 50 megapixels.
    """
    from PIL import Image, UnidentifiedImageError

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
                return shown_still(image)
    except Image.DecompressionBombError:
        raise StudioError(_too_many_pixels(name, "far too many")) from None
    except FileNotFoundError:
        raise StudioError(f"There is no file {path}.") from None
    except UnidentifiedImageError:
        raise StudioError(f"{name} is not an image that can be read; give a JPEG, PNG or WebP file.") from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        # SyntaxError is what Pillow's PNG reader raises for broken chunks.
        raise StudioError(f"{name} is truncated or damaged ({short(error)}); save it again and retry.") from None


def _too_many_pixels(name: str, size: str) -> str:
    return f"{name} has {size} pixels, more than {MAX_IMAGE_PIXELS // 1_000_000} megapixels; use a smaller image."
