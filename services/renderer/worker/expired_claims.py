"""Which claims have outlived their holder, by the observer's own time: no two clocks are ever compared."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.jobs.claims import LEASE_S

Key = tuple[str, str, int]  # job, unit's name, the claim's number


@dataclass(slots=True)
class Leases:
    """Remembers every claim's last beat and when it was first seen. longest: seconds that count at most between two looks,
    since a pause of the observer may have been everybody's."""

    longest: float
    clock: Callable[[], float] = time.monotonic
    _last: float | None = None
    _time: float = 0.0
    _beats: dict[Key, tuple[int, float]] = field(default_factory=dict)

    def look(self, beats: dict[Key, int]) -> list[Key]:
        """beats: of all claims that are open now. Returns those that have stood still for LEASE_S."""
        now = self.clock()
        self._time += min(now - self._last, self.longest) if self._last is not None else 0.0
        self._last = now
        seen = {}
        for key, beat in beats.items():
            before = self._beats.get(key)
            seen[key] = before if before and before[0] == beat else (beat, self._time)
        self._beats = seen
        return [key for key, (_, since) in seen.items() if self._time - since >= LEASE_S]
