"""One tick of a program."""

from fractions import Fraction

import numpy as np

from shared.runtime.clock import tick_pts
from shared.wire.program import Picture, Sound

RATE = Fraction(25)
BLOCK = np.full(1920, 1000, np.int16)


def picture(tick: int, size: tuple[int, int] = (64, 48)) -> Picture:
    i420 = np.full((size[1] * 3 // 2, size[0]), 90, np.uint8)
    return Picture(tick, tick_pts(tick, RATE), i420, "sample", 0, None, None, "live", 0)


def sound(tick: int) -> Sound:
    return Sound(tick, tick_pts(tick, RATE), BLOCK)
