"""When to start a process again after it died, and when to ask a peer again after it failed."""

import random
import time
from collections.abc import Callable, Sequence

WINDOW_S = 60.0  # deaths older than this no longer count


class RestartPolicy:
    """Delay before a restart, by the number of deaths in the last minute. Not thread-safe."""

    def __init__(self, delays_s: Sequence[float], clock: Callable[[], float] = time.monotonic) -> None:
        """delays_s: the delay after the first, second, ... death; the last one holds for all that follow."""
        self._delays_s, self._clock = tuple(delays_s), clock
        self._deaths: list[float] = []
        self._due = 0.0

    def died(self) -> float:
        """Note a death and return the seconds until the restart."""
        now = self._clock()
        self._deaths = [at for at in self._deaths if now - at < WINDOW_S] + [now]
        delay_s = self._delays_s[min(len(self._deaths), len(self._delays_s)) - 1]
        self._due = now + delay_s
        return delay_s

    def is_due(self) -> bool:
        """Whether the delay after the last death is over; True where there was none."""
        return self._clock() >= self._due


class RetryDelay:
    """Seconds before the next attempt to reach a peer.

    Exponential, capped, with equal jitter (half fixed, half random), so that a failing peer is asked ever less often
    and not by all studios in step.
    """

    def __init__(self, first_s: float = 1.0, cap_s: float = 15.0) -> None:
        self._first_s, self._cap_s = first_s, cap_s
        self._attempts = 0

    def next_s(self) -> float:
        """Return the next pause, between half of `first_s` and `cap_s`."""
        step_s = min(self._cap_s, self._first_s * 2 ** min(self._attempts, 16))
        self._attempts += 1
        return random.uniform(step_s / 2, step_s)

    def reset(self) -> None:
        """Start at `first_s` again after a success."""
        self._attempts = 0
