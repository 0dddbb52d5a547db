"""Driver view: the driver's frame as a small JPEG for the console.

It is encoded in the process that has the frame, so that no whole frame is sent for it.
"""

import cv2
import numpy as np
import simplejpeg

from shared.media.array_types import ImageArray
from shared.media.jpeg_size import check_jpeg, jpeg_size

PERIOD_US = 100_000  # between two driver views
WIDTH_PX, QUALITY = 240, 65
MAX_SIDE_PX = 2048  # of a view, which may be tall if it is narrow
MAX_BYTES = 128 << 10  # more than the JPEG of pure noise needs


def driver_view(rgb: ImageArray) -> bytes:
    """Encode (H, W, 3) RGB as a JPEG at most WIDTH_PX wide."""
    height, width = rgb.shape[:2]
    scale = min(1.0, WIDTH_PX / max(width, 1))
    small = cv2.resize(rgb, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(small), QUALITY, "RGB", "420"))


def view_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height of a view. Raises ValueError for data that is not a view."""
    if len(jpeg) > MAX_BYTES:
        raise ValueError("larger than a view")
    check_jpeg(jpeg, MAX_SIDE_PX)
    return jpeg_size(jpeg)
