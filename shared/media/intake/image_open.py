"""Opens users' still images by their content, not by their name, and reduces large ones during decoding."""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import StudioError, short
from shared.media.display.still_colour import ORIENTATION, stated_orientation
from shared.media.intake.refusal import check_file
from shared.media.intake.signature import head_of, signature_of_bytes

if TYPE_CHECKING:  # Pillow is imported inside the functions that use it: live services do not need it
    from PIL import Image

WANTED = "a JPEG, PNG, WebP, AVIF or HEIC image"
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000")
MAX_IMAGE_BYTES = 256 << 20
MAX_JPEG_PIXELS = 1_000_000_000  # of baseline JPEG, which is reduced during decoding and so needs less memory
MAX_IMAGE_PIXELS = 210_000_000  # of progressive JPEG and other formats, which are decoded at full size: 800 MB
KEPT_PIXELS = 50_000_000  # larger images are reduced to this or less
HEIC_PACKAGE = "pi_heif"


@contextmanager
def opened_image(path: Path) -> Iterator["Image.Image"]:
    """Open an image file and yield its first frame, decoded, in its stored orientation and colours.

    An image of more than KEPT_PIXELS is reduced by a whole factor. The size is checked before decoding. Raises
    StudioError for a file that is missing, a folder, empty, truncated, damaged, of an unknown format or too large, also
    if Pillow finds the damage within the ``with`` block.
    """
    from PIL import Image, UnidentifiedImageError

    name = path.name
    check_file(path, WANTED)
    if (size := path.stat().st_size) > MAX_IMAGE_BYTES:
        raise StudioError(f"{name} has {size >> 20} MB, more than {MAX_IMAGE_BYTES >> 20} MB; use a smaller image.")
    signed = signature_of_bytes(head_of(path))
    formats: tuple[str, ...] = IMAGE_FORMATS
    if signed is not None and signed.name == "HEIC":
        _register_heic(name)
        formats = ("HEIF",)
    # Pillow's default is below the size of phone photos; it refuses images of more than twice this size unread.
    Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large and odd images, which the checks below refuse
            with Image.open(path, formats=formats) as image:
                reducible = image.format in ("JPEG", "MPO") and not image.info.get(
                    "progressive"
                )  # progressive JPEG needs memory for all coefficients
                most = MAX_JPEG_PIXELS if reducible else MAX_IMAGE_PIXELS
                if image.width * image.height > most:
                    raise StudioError(
                        f"{name} has {image.width}x{image.height} pixels, more than {most // 1_000_000} megapixels; "
                        "use a smaller image."
                    )
                yield _reduced(image)
    except Image.DecompressionBombError:
        raise StudioError(f"{name} has far too many pixels; use a smaller image.") from None
    except UnidentifiedImageError:
        found = f"a {signed.name} file" if signed is not None else "not an image that can be read"
        found = (
            found
            if signed is None or signed.kind != "image"
            else f"damaged, or a variant of {signed.name} that is not supported"
        )
        raise StudioError(f"{name} is {found}; give {WANTED}.") from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, RuntimeError) as error:
        # SyntaxError is what Pillow's PNG reader raises for broken chunks.
        raise StudioError(f"{name} is truncated or damaged ({short(error)}); save it again and retry.") from None


def _reduced(image: "Image.Image") -> "Image.Image":
    """Decode the image, reduced to KEPT_PIXELS; a large JPEG is decoded at 1/2, 1/4 or 1/8 of its size."""
    from PIL import Image

    pixels = image.width * image.height
    if pixels > KEPT_PIXELS and image.format in ("JPEG", "MPO"):
        share = next(share for share in (2, 4, 8) if pixels <= KEPT_PIXELS * share * share or share == 8)
        image.draft(None, (image.width // share, image.height // share))
    image.load()
    pixels = image.width * image.height
    if pixels <= KEPT_PIXELS:
        return image
    share = next(share for share in range(2, 64) if pixels <= KEPT_PIXELS * share * share)
    about, form = dict(image.info), Image.Exif()
    form[ORIENTATION] = stated_orientation(image)
    if image.mode in ("P", "1"):
        image = image.convert("RGBA" if "transparency" in about else "RGB")
    if image.mode.startswith("I;"):
        image = image.convert("I")
    smaller = image.reduce(share)
    smaller.info = about | {"exif": form.tobytes()}  # only the orientation: the rest of the EXIF may be broken
    return smaller


def _register_heic(name: str) -> None:
    try:
        importlib.import_module(HEIC_PACKAGE).register_heif_opener()
    except ImportError:
        raise StudioError(
            f"{name} is a HEIC image, which needs an extra that is not installed; run `pip install "
            "'persona-studio[heic]'`, or save it as JPEG."
        ) from None
