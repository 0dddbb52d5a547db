"""The channel clock: integer microseconds of the host's monotonic clock, the same in every process.

The program's ticks lie on an absolute grid of that clock, ``k / fps`` seconds for every integer k. So a
compositor that restarts continues exactly where the last one stopped, and any service can tell which tick
comes next without being told.
"""

import time
from fractions import Fraction

US = 1_000_000
SOUND_RATE_HZ = 48_000  # of all sound between the parts, whatever a driver or an engine has


def now() -> int:
    """Microseconds on the channel clock."""
    return time.monotonic_ns() // 1000


def tick_pts(tick: int, fps: Fraction) -> int:
    """When a tick is due, in microseconds."""
    return tick * US * fps.denominator // fps.numerator


def tick_after(pts: int, fps: Fraction) -> int:
    """The first tick that is due later than `pts` (microseconds)."""
    tick = pts * fps.numerator // (US * fps.denominator)
    while tick_pts(tick, fps) <= pts:
        tick += 1
    return tick


def sound_samples(tick: int, fps: Fraction, rate: int) -> tuple[int, int]:
    """(first, past the last) sample of a tick's sound, so that blocks of any frame rate join without a gap."""
    return (
        tick * rate * fps.denominator // fps.numerator,
        (tick + 1) * rate * fps.denominator // fps.numerator,
    )
