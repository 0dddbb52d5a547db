"""Delays before a process that died is started again, and before a peer that failed is tried again."""

import random
import time
from collections.abc import Callable, Sequence

WINDOW_S = 60.0  # deaths older than this no longer count


class RestartPolicy:
    """Delay before a restart, by the number of deaths in the last minute. Not thread-safe."""

    def __init__(self, delays_s: Sequence[float], clock: Callable[[], float] = time.monotonic) -> None:
        """delays_s: delays after the first, second, ... death; the last one applies to all further deaths."""
        self._delays_s, self._clock = tuple(delays_s), clock
        self._deaths: list[float] = []
        self._due = 0.0

    def died(self) -> float:
        """Record a death and return the seconds until the restart."""
        now = self._clock()
        self._deaths = [at for at in self._deaths if now - at < WINDOW_S] + [now]
        delay_s = self._delays_s[min(len(self._deaths), len(self._delays_s)) - 1]
        self._due = now + delay_s
        return delay_s

    def is_due(self) -> bool:
        """Whether the delay after the last death is over; True if there was no death."""
        return self._clock() >= self._due


class RetryDelay:
    """Seconds before the next attempt to reach a peer.

    Exponential backoff with a cap and equal jitter (half fixed, half random), so that attempts become less frequent and
    different studios do not try at the same moment.
    """

    def __init__(self, first_s: float = 1.0, cap_s: float = 15.0) -> None:
        self._first_s, self._cap_s = first_s, cap_s
        self._attempts = 0

    def next_s(self) -> float:
        """Return the next delay, between half of `first_s` and `cap_s`."""
        step_s = min(self._cap_s, self._first_s * 2 ** min(self._attempts, 16))
        self._attempts += 1
        return random.uniform(step_s / 2, step_s)

    def reset(self) -> None:
        """Start at `first_s` again after a success."""
        self._attempts = 0
