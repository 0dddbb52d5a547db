"""One tick of a program."""

from fractions import Fraction

import numpy as np

from shared.runtime.clock import tick_pts
from shared.wire.program import ProgramFrame, ProgramSound

RATE_FPS = Fraction(25)
BLOCK = np.full(1920, 1000, np.int16)


def make_frame(tick: int, size: tuple[int, int] = (64, 48)) -> ProgramFrame:
    i420 = np.full((size[1] * 3 // 2, size[0]), 90, np.uint8)
    return ProgramFrame(tick, tick_pts(tick, RATE_FPS), i420, "sample", 0, None, False, "live", 0)


def sound(tick: int) -> ProgramSound:
    return ProgramSound(tick, tick_pts(tick, RATE_FPS), BLOCK)
