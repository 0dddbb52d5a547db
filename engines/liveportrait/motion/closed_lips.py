"""The expression of closed lips: the reference for a driver of a single image, which shows no rest of its own.

The 63 numbers are LivePortrait's (MIT licence, Copyright (c) 2024 Kuaishou Visual Generation and Interaction Center);
`closed_lips.LICENSE` contains the notice.
"""

from functools import cache
from pathlib import Path

import numpy as np

from shared.media.array_types import FloatArray

FILE = Path(__file__).with_name("closed_lips.npy")


@cache
def closed_lips() -> FloatArray:
    """Return the expression, (21, 3) float32, read-only."""
    values: FloatArray = np.load(FILE, allow_pickle=False)
    values.flags.writeable = False
    return values
