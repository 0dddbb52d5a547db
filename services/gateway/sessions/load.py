"""How many further sessions the machine can serve, from what those that run cost: measured, not configured.

Three things tell that it is full. The machine's cores, which sessions share with everything else that runs here; the
time of a tick in the one thread that each of their services does its work in; and a session whose frames come late
already. A session that has just been opened is not measured yet: it counts with what the others cost. Once full it
stays so until there is clearly room, so that it does not take one session after the other at the brink.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.wire.pulse import Pulse

STAT = Path("/proc/stat")
BUSY_SHARE = 0.8  # of the cores' time that may be taken: beyond that frames are late now and then
THREAD_SHARE = 0.8  # of a tick that a service's thread may work
SESSION_CORES = 0.45  # that a session takes while none has been measured
SESSION_SHARE = 0.15  # of a tick in the busiest thread, likewise
UNMEASURED_S = 6.0  # seconds on air after which a session shows in the measurements
WINDOW_S = 3.0  # seconds over which is measured
LATE_SHARE = (
    0.96  # of the frames that are due: a session that has fewer is late. An encoder counts one more or less a second
)
LATE_FOR_S = 10.0  # seconds after a late session until there is room again
CLEARLY = 0.3  # of a session more than one, for which there must be room after there was none
LoadSample = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SessionCapacity:
    """How many more sessions this machine takes.

    free: sessions that can still be opened. busy: share of the cores' time that is taken, 0 to 1. session_cores: that
    one takes. reason: why there is no more room, one sentence, "" where there is.
    """

    free: int
    busy: float
    session_cores: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ServedSession:
    """A session that runs.

    on_air: seconds since it first was, 0 where it opens. share: of the frames that are due it has had lately, 1 where
    that is not known or not the machine's fault.
    """

    on_air: float
    share: float = 1.0


@dataclass(slots=True)
class ServiceLoad:
    """Load of a service, as its pulses report it.

    samples: (seconds, processor seconds so far). share: of a tick in its busiest thread.
    """

    samples: deque[LoadSample] = field(default_factory=deque)
    share: float = 0.0
    pid: int = 0


def machine_jiffies() -> tuple[float, float] | None:
    """(busy, all) of the machine's processors so far.

    What is nice, as a render is, counts as free: it gives way. None where the kernel does not say.
    """
    try:
        with STAT.open(encoding="utf-8") as file:
            user, nice, system, idle, waiting, *others = (float(n) for n in file.readline().split()[1:9])
    except (OSError, ValueError):
        return None
    busy = user + system + sum(others)
    return busy, busy + nice + idle + waiting


class SessionLoad:
    """Load of all session services: pulses come in from one thread, and another asks. Thread-safe."""

    def __init__(
        self,
        cores: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        jiffies: Callable[[], tuple[float, float] | None] = machine_jiffies,
    ) -> None:
        """cores: that may be used; all of them. clock: seconds. jiffies: see `machine_jiffies`."""
        self._clock, self._jiffies = clock, jiffies
        self._guard = threading.Lock()
        self._cores = cores or len(os.sched_getaffinity(0))
        self._services: dict[str, ServiceLoad] = {}
        self._machine: deque[LoadSample] = deque()  # seconds, busy and all jiffies so far
        self._full = False
        self._late_until = 0.0

    def receive_pulse(self, pulse: Pulse) -> None:
        """Take in what a session service reports of its work: the facts `cpu_s` and `share`."""
        spent, share = pulse.facts.get("cpu_s"), pulse.facts.get("share")
        if not isinstance(spent, float) or not isinstance(share, float):
            return
        at = self._clock()
        with self._guard:
            load = self._services.setdefault(pulse.service, ServiceLoad())
            if load.pid != pulse.pid:
                load.samples.clear()
                load.pid = pulse.pid
            load.share = share
            _keep(load.samples, (at, spent))
            if (now := self._jiffies()) is not None:
                _keep(self._machine, (at, *now))

    def capacity(self, served: Sequence[ServedSession]) -> SessionCapacity:
        """How many more sessions fit in addition to these."""
        measured = [each for each in served if each.on_air >= UNMEASURED_S]
        fresh, at = len(served) - len(measured), self._clock()
        lowest = min((each.share for each in measured), default=1.0)
        with self._guard:
            taken = sum(_rate(load.samples) for load in self._services.values())
            share = max((load.share for load in self._services.values()), default=0.0)
            busy = self._busy()
            if lowest < LATE_SHARE:
                self._late_until = at + LATE_FOR_S
            late = at < self._late_until
            each = taken / len(measured) if measured and taken else SESSION_CORES
            each_share = share / len(measured) if measured and share else SESSION_SHARE
            by_cores = (BUSY_SHARE - busy) * self._cores / each - fresh
            by_thread = (THREAD_SHARE - share) / each_share - fresh
            self._full = late or min(by_cores, by_thread) < (1 + CLEARLY if self._full else 1)
            free = 0 if self._full else int(min(by_cores, by_thread))
        reason = ""
        if late:
            reason = f"A session has {min(lowest, LATE_SHARE):.0%} of its frames, as the machine is too busy; end one."
        elif self._full and by_cores <= by_thread:
            reason = f"The machine's processors are {busy:.0%} busy, and a session takes {each:.2f} of a core; end one."
        elif self._full:
            reason = f"The sessions' own work takes {share:.0%} of the time between two frames; end one."
        return SessionCapacity(free, busy, each, reason)

    def _busy(self) -> float:
        if len(self._machine) < 2:
            return 0.0
        _, busy, whole = (last - first for first, last in zip(self._machine[0], self._machine[-1], strict=True))
        return busy / whole if whole > 0 else 0.0


def _keep(samples: deque[LoadSample], sample: LoadSample) -> None:
    samples.append(sample)
    while len(samples) > 2 and samples[1][0] < sample[0] - WINDOW_S:
        samples.popleft()


def _rate(samples: deque[LoadSample]) -> float:
    if len(samples) < 2 or samples[-1][0] <= samples[0][0]:
        return 0.0
    return (samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0])
