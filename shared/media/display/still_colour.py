"""Converts stills for display: upright, from any mode and colour profile to sRGB, with their alpha."""

import io
import struct
from typing import TYPE_CHECKING

import numpy as np

from shared.media.array_types import ImageArray
from shared.media.display.transparency import over_backdrop

if TYPE_CHECKING:  # Pillow is imported inside the functions that use it: live services do not need it
    from PIL import Image

ORIENTATION = 0x0112  # EXIF's tag
_MODES = {
    "RGB ": "RGB",
    "GRAY": "L",
    "CMYK": "CMYK",
    "Lab ": "LAB",
}  # by a profile's colour space: the Pillow mode that the profile converts from


def shown_still(image: "Image.Image") -> tuple[ImageArray, ImageArray | None]:
    """Return (H, W, 3) uint8 sRGB over grey, and (H, W) uint8 alpha, None for a fully opaque image."""
    profile = image.info.get("icc_profile")
    image = _in_eight_bits(_upright(image))
    alpha = _alpha_of(image)
    rgb = np.array(_in_srgb(image, profile), np.uint8)
    return (rgb, None) if alpha is None else (over_backdrop(rgb, alpha), alpha)


def stated_orientation(image: "Image.Image") -> int:
    """Return the orientation in EXIF or XMP, 1 to 8; 1 if the metadata is broken, since the pixels are still usable."""
    try:
        stated = image.getexif().get(ORIENTATION, 1)
    except (struct.error, ValueError, TypeError, KeyError, SyntaxError, OverflowError, ZeroDivisionError, OSError):
        return 1
    return int(stated) if stated in range(1, 9) else 1


def _upright(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    orientation = stated_orientation(image)
    ways = (
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_90,
    )
    return image.transpose(ways[orientation - 2]) if orientation > 1 else image


def _in_eight_bits(image: "Image.Image") -> "Image.Image":
    """Scale 16-bit or floating-point grey to 8 bits: Pillow would clip it."""
    from PIL import Image

    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float64))
        scale = 255.0 if values.max(initial=0.0) <= 1.0 else 1.0
        return Image.fromarray((values * scale).clip(0, 255).round().astype(np.uint8))
    return image


def _alpha_of(image: "Image.Image") -> ImageArray | None:
    if not image.has_transparency_data:
        return None
    alpha = np.asarray(image.convert("RGBA").getchannel("A"), np.uint8)
    return (
        None if alpha.min() == 255 or alpha.max() == 0 else alpha
    )  # all zeros: the fourth byte of each pixel is unused padding


def _in_srgb(image: "Image.Image", profile: bytes | None) -> "Image.Image":
    """Convert an image to sRGB without alpha.

    Phones save Display P3, cameras Adobe RGB, print software CMYK; skin would be pale if these were treated as sRGB.
    """
    from PIL import ImageCms

    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode = _MODES.get(source.profile.xcolor_space)
            if mode is not None and (mode == _opaque_mode(image) or (mode, _opaque_mode(image)) == ("RGB", "L")):
                converted = ImageCms.profileToProfile(
                    image.convert(mode),
                    source,
                    ImageCms.createProfile("sRGB"),
                    ImageCms.Intent.RELATIVE_COLORIMETRIC,
                    outputMode="RGB",
                    flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
                )
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # ignore a broken profile; the pixels are still usable
    return image.convert("RGB") if image.mode != "LAB" else _lab_in_srgb(image)


def _opaque_mode(image: "Image.Image") -> str:
    """The mode of an image without its palette and alpha."""
    if image.mode in ("1", "L", "LA", "La"):
        return "L"
    return image.mode if image.mode in ("CMYK", "LAB") else "RGB"


def _lab_in_srgb(image: "Image.Image") -> "Image.Image":
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
