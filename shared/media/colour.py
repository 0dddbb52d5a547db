"""Colour of the program: I420, BT.601, limited range, from plate decode to encoder.

A frame of width W and height H (both even) is one (H * 3 / 2, W) uint8 array: H rows of Y, then
the U plane and the V plane, each (H / 2, W / 2), packed row after row. JPEG carries the same planes
in full range; `to_full` and `to_limited` change range by table without leaving YUV.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.media.array_types import ImageArray

_STEPS = np.arange(256, dtype=np.float64)


def _table(values: NDArray[np.float64]) -> ImageArray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


_Y_TO_LIMITED = _table(16 + _STEPS * 219 / 255)
_C_TO_LIMITED = _table(128 + (_STEPS - 128) * 224 / 255)
_Y_TO_FULL = _table((_STEPS - 16) * 255 / 219)
_C_TO_FULL = _table(128 + (_STEPS - 128) * 255 / 224)


def _matrix(red: float, blue: float) -> NDArray[np.float64]:
    """(3, 3) from RGB (0 to 1) to limited-range Y, U and V without their offsets, for the weights of red and blue."""
    luma = np.array([red, 1.0 - red - blue, blue])
    u = (np.array([0.0, 0.0, 1.0]) - luma) / (2.0 * (1.0 - blue))
    v = (np.array([1.0, 0.0, 0.0]) - luma) / (2.0 * (1.0 - red))
    return np.array([luma * 219, u * 224, v * 224])


# Rows: Y, U and V in BT.709. Columns: the contributions of U and V in BT.601.
_BT709 = (_matrix(0.2126, 0.0722) @ np.linalg.inv(_matrix(0.299, 0.114)))[:, 1:].tolist()


def planes(i420: ImageArray) -> tuple[ImageArray, ImageArray, ImageArray]:
    """Views of the Y (H, W), U and V (H / 2, W / 2) planes of an I420 frame."""
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    return i420[:height], chroma[0], chroma[1]


def to_limited(i420: ImageArray) -> ImageArray:
    """Convert a full-range (JPEG) I420 frame to limited range."""
    return _ranged(i420, _Y_TO_LIMITED, _C_TO_LIMITED)


def to_full(i420: ImageArray) -> ImageArray:
    """Convert a limited-range I420 frame to full (JPEG) range."""
    return _ranged(i420, _Y_TO_FULL, _C_TO_FULL)


def rgb_to_i420(rgb: ImageArray) -> ImageArray:
    """Convert (H, W, 3) RGB, H and W even, to I420."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)


def i420_to_rgb(i420: ImageArray) -> ImageArray:
    """Convert I420 to (H, W, 3) RGB."""
    return np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420), np.uint8)


def to_bt709(i420: ImageArray) -> ImageArray:
    """Convert an I420 frame from BT.601 to BT.709, both in limited range. 3 ms at 1080p.

    The conversion stays in YUV: chroma is rotated slightly, and luma changes by a linear function of chroma, which is 0
    for greys. Weights from ITU-R BT.601 and BT.709.
    """
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    luma, u, v = planes(i420)
    out = np.empty_like(i420)
    new_luma, new_u, new_v = planes(out)
    for target, (by_u, by_v) in ((new_u, _BT709[1]), (new_v, _BT709[2])):
        cv2.addWeighted(u, by_u, v, by_v, 128.0 * (1.0 - by_u - by_v), dst=target)
    by_u, by_v = _BT709[0]
    shift = cv2.addWeighted(u, by_u, v, by_v, 128.0 * (1.0 - by_u - by_v))  # the change of luma, plus 128
    shift = cv2.resize(shift, (width, height), interpolation=cv2.INTER_LINEAR)
    cv2.addWeighted(luma, 1.0, shift, 1.0, -128.0, dst=new_luma)
    return out


def resize_i420(i420: ImageArray, width: int, height: int) -> ImageArray:
    """Resize an I420 frame to an even width and height, with averaging if it becomes narrower."""
    if i420.shape == (height * 3 // 2, width):
        return i420
    out = np.empty((height * 3 // 2, width), np.uint8)
    how = cv2.INTER_AREA if width < i420.shape[1] else cv2.INTER_CUBIC
    for source, target in zip(planes(i420), planes(out), strict=True):
        target[:] = cv2.resize(source, target.shape[::-1], interpolation=how)
    return out


def crop(i420: ImageArray, x: int, y: int, width: int, height: int) -> ImageArray:
    """A copy of an even-aligned rectangle of an I420 frame, as I420."""
    out = np.empty((height * 3 // 2, width), np.uint8)
    for source, target, half in zip(planes(i420), planes(out), (1, 2, 2), strict=True):
        target[:] = source[y // half : (y + height) // half, x // half : (x + width) // half]
    return out


def paste(i420: ImageArray, patch: ImageArray, x: int, y: int) -> None:
    """Write an I420 rectangle to even (x, y) of an I420 frame, in place; the inverse of `crop`."""
    height, width = patch.shape[0] * 2 // 3, patch.shape[1]
    for source, target, half in zip(planes(patch), planes(i420), (1, 2, 2), strict=True):
        target[y // half : (y + height) // half, x // half : (x + width) // half] = source


def _ranged(i420: ImageArray, luma: ImageArray, chroma: ImageArray) -> ImageArray:
    height = i420.shape[0] * 2 // 3
    out = np.empty_like(i420)
    cv2.LUT(i420[:height], luma, out[:height])
    cv2.LUT(i420[height:], chroma, out[height:])
    return out
