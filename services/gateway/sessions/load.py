"""Estimate of how many further sessions the machine can serve, from the measured cost of those that run.

The machine is full by any of three criteria: its cores, which sessions share with everything else that runs here; the
time of a tick in the single working thread of each session service; and a session whose frames are already late. A
session that was just opened is not measured yet, and counts with the average cost of the others. Once full, the machine
counts as full until there is clearly room, so that it does not alternate between full and free with every session.
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
BUSY_SHARE = 0.8  # largest share of the cores' time in use: beyond it frames are occasionally late
THREAD_SHARE = 0.8  # largest share of a tick for which a service's thread may work
SESSION_CORES = 0.45  # cores that a session is assumed to take until one was measured
SESSION_SHARE = 0.15  # share of a tick in the busiest thread, assumed likewise
UNMEASURED_S = 6.0  # seconds on air after which the measurements include a session
WINDOW_S = 3.0  # seconds over which load is measured
LATE_SHARE = (
    0.96  # share of its due frames below which a session is late; an encoder's count varies by one frame a second
)
LATE_FOR_S = 10.0  # seconds after a late session for which the machine counts as full
CLEARLY = 0.3  # room, in sessions beyond one, that a full machine needs to count as free again
LoadSample = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SessionCapacity:
    """How many more sessions this machine can serve.

    free: sessions that can still be opened. busy: share of the cores' time in use, 0 to 1. session_cores: cores that a
    session takes. reason: one sentence why no more can be opened, "" if some can.
    """

    free: int
    busy: float
    session_cores: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ServedSession:
    """A running session, as input for the load.

    on_air: seconds since it was first live, 0 before. share: share of its due frames that it recently had, 1 if unknown
    or limited by the network rather than by this machine.
    """

    on_air: float
    share: float = 1.0


@dataclass(slots=True)
class ServiceLoad:
    """Load of a service, as its pulses report it.

    samples: (seconds, processor seconds so far). share: share of a tick for which its busiest thread works.
    """

    samples: deque[LoadSample] = field(default_factory=deque)
    share: float = 0.0
    pid: int = 0


def machine_jiffies() -> tuple[float, float] | None:
    """Return the (busy, total) jiffies of the machine's processors since boot, None if the kernel does not report them.

    The time of niced processes, such as renders, counts as free, because they yield to sessions.
    """
    try:
        with STAT.open(encoding="utf-8") as file:
            user, nice, system, idle, waiting, *others = (float(n) for n in file.readline().split()[1:9])
    except (OSError, ValueError):
        return None
    busy = user + system + sum(others)
    return busy, busy + nice + idle + waiting


class SessionLoad:
    """Load of all session services. Thread-safe: one thread adds pulses and another asks for the capacity."""

    def __init__(
        self,
        cores: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        jiffies: Callable[[], tuple[float, float] | None] = machine_jiffies,
    ) -> None:
        """cores: number of usable cores, by default all. clock: returns seconds. jiffies: see `machine_jiffies`."""
        self._clock, self._jiffies = clock, jiffies
        self._guard = threading.Lock()
        self._cores = cores or len(os.sched_getaffinity(0))
        self._services: dict[str, ServiceLoad] = {}
        self._machine: deque[LoadSample] = deque()  # seconds, busy and all jiffies so far
        self._full = False
        self._late_until = 0.0

    def receive_pulse(self, pulse: Pulse) -> None:
        """Store the load that a session service reports in its pulse: the facts `cpu_s` and `share`."""
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
        """Return how many more sessions can run in addition to these."""
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
            got = f"{min(lowest, LATE_SHARE):.0%}"
            reason = f"A session gets only {got} of its frames because the machine is too busy; end a session."
        elif self._full and by_cores <= by_thread:
            reason = f"The machine's processors are {busy:.0%} busy, and a session takes {each:.2f} of a core; end one."
        elif self._full:
            reason = f"Serving the sessions takes {share:.0%} of the time between two frames; end a session."
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
