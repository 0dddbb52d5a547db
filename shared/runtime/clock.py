"""The channel clock: integer microseconds of the host's monotonic clock, the same in every process.

The program's ticks are on an absolute grid of that clock, at ``k / fps`` seconds for every integer k. A compositor
that restarts therefore continues exactly where the last one stopped, and any service can compute the next tick by
itself.
"""

import time
from fractions import Fraction

US = 1_000_000
SOUND_RATE_HZ = 48_000  # of all sound between services, whatever rate a driver or an engine uses


def now() -> int:
    """Return the current time on the channel clock in microseconds."""
    return time.monotonic_ns() // 1000


def tick_pts(tick: int, fps: Fraction) -> int:
    """Return the time in microseconds at which a tick is due."""
    return tick * US * fps.denominator // fps.numerator


def tick_after(pts: int, fps: Fraction) -> int:
    """The first tick that is due later than `pts` (microseconds)."""
    tick = pts * fps.numerator // (US * fps.denominator)
    while tick_pts(tick, fps) <= pts:
        tick += 1
    return tick


def sound_samples(tick: int, fps: Fraction, rate: int) -> tuple[int, int]:
    """Return (first, end) sample numbers of a tick's sound; end is exclusive and is the next tick's first."""
    return (
        tick * rate * fps.denominator // fps.numerator,
        (tick + 1) * rate * fps.denominator // fps.numerator,
    )
