"""Pulse: the report that each service sends twice a second, with its rate, latency, drops and state."""

import os
from collections import Counter, deque
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import numpy as np

from shared.runtime.clock import US
from shared.wire.message import WireError

PULSE_PERIOD_US = US // 2
RATE_WINDOW_US = 2 * US  # the frame rate is an average over this window
_STATM = "/proc/self/statm"
HISTORY_LATENCIES = 256  # latencies kept for the percentiles


@dataclass(slots=True)
class Pulse:
    """One report of a service.

    service: capture, generator, compositor or gateway; sessions or faces.
    fps: frames finished per second, over the last two seconds.
    p50, p95: percentiles of the milliseconds from a driver frame's capture until this service finished its frame.
    drops: number of drops since the service started, by reason.
    state: one word; note: one sentence if something is wrong, else "".
    scene: revision of the scene that the service has applied.
    rss: resident memory in bytes.
    facts: further values that are specific to the service.
    """

    service: str
    pid: int
    fps: float
    p50: float
    p95: float
    drops: dict[str, int]
    state: str
    note: str
    scene: int
    rss: int
    facts: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The pulse as plain values for a message."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The pulse from plain values. Raises WireError."""
        kinds = {"str": str, "int": int, "float": float}
        for each in fields(cls):
            kind = each.type if isinstance(each.type, type) else kinds.get(str(each.type), dict)
            if not isinstance(values.get(each.name), kind):
                raise WireError("malformed")
        return cls(**{each.name: values[each.name] for each in fields(cls)})


class Meter:
    """Collects the measurements that a service reports in its pulses. Owned by the service's loop."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.drops: Counter[str] = Counter()
        self.state, self.note, self.scene = "starting", "", -1
        self.facts: dict[str, Any] = {}
        self._done: deque[int] = deque(maxlen=int(RATE_WINDOW_US / US * 130))
        self._latencies: deque[int] = deque(maxlen=HISTORY_LATENCIES)
        self._rss = 0
        self._page = os.sysconf("SC_PAGE_SIZE")

    def frame(self, at: int, captured: int | None = None) -> None:
        """Record a frame finished at `at` from a driver frame captured at `captured` (both microseconds)."""
        self._done.append(at)
        if captured is not None:
            self._latencies.append(at - captured)

    def pulse(self, at: int) -> Pulse:
        """Return the report for the time `at` (microseconds)."""
        while self._done and self._done[0] <= at - RATE_WINDOW_US:
            self._done.popleft()
        p50, p95 = np.percentile(self._latencies, (50, 95)) / 1000 if self._latencies else (0.0, 0.0)
        return Pulse(
            service=self.service,
            pid=os.getpid(),
            fps=len(self._done) * US / RATE_WINDOW_US,
            p50=float(p50),
            p95=float(p95),
            rss=self._resident(),
            drops=dict(self.drops),
            state=self.state,
            note=self.note,
            scene=self.scene,
            facts=self.facts,
        )

    def _resident(self) -> int:
        """Resident memory of this process in bytes; the last measurement if it cannot be read now."""
        try:
            with open(_STATM, encoding="utf-8") as file:
                self._rss = int(file.read().split()[1]) * self._page
        except OSError:  # no file descriptor is left; keep the last measurement
            self.drops["memory not measured"] += 1
        return self._rss
