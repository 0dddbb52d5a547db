"""Reads and writes the studio's own still images at any path.

Python does the file access, because OpenCV encodes names as UTF-8 regardless of the locale.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def read_pixels(path: Path, flag: int = cv2.IMREAD_COLOR) -> NDArray[np.uint8] | None:
    """(H, W, 3) uint8 BGR, or (H, W) with `cv2.IMREAD_GRAYSCALE`. None where there is no image that can be read."""
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    try:
        image = cv2.imdecode(content, flag) if len(content) else None
    except cv2.error:  # more pixels than OpenCV allows
        return None
    return None if image is None else np.asarray(image, np.uint8)


def write_pixels(path: Path, image: NDArray[np.unsignedinteger[Any]]) -> None:
    """Write (H, W, 3) BGR or (H, W) grey in the format that the name's suffix says. Raises OSError."""
    _, content = cv2.imencode(path.suffix, image)
    path.write_bytes(content.tobytes())
