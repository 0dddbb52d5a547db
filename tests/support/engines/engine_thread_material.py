"""Shared material of the tests of batches: an opened session, a driven clock, and a driver that follows the clock."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.api import Driving
from engines.mesh.engine import INFO
from harness.channel import wait_for
from services.generator.engine_thread import EngineThread
from services.generator.session_opener import OpenedSession
from shared.runtime.clock import US
from tests.support.engines.slow_engines import LadderEngine, LadderOptions

SIZE, FRAME = 4, 40_000
PIXELS: NDArray[np.uint8] = np.zeros((4, 4, 3), np.uint8)


class DrivenClock:
    """The channel clock, set by a test.

    at: time in microseconds. until: time at which a thread that sleeps by this clock is to wake, None while none
    sleeps.
    """

    def __init__(self) -> None:
        self.at = 100 * US
        self.until: int | None = None
        self._woken = threading.Event()

    def now(self) -> int:
        return self.at

    def sleep(self, seconds: float) -> None:
        """Called by one thread at a time."""
        if seconds:
            self._woken.clear()
            self.until = self.at + round(seconds * US)
            self._woken.wait()

    def wake(self) -> None:
        self.until = None
        self._woken.set()


def opened(session: Any, size: int = SIZE, options: LadderOptions | None = None) -> OpenedSession:
    """Return a session of an engine that takes `size` frames a call and holds back the frames of four calls."""
    engine = LadderEngine()
    engine.info = replace(INFO, frames_per_step=size, frames_held=4 * size - 1)
    return OpenedSession(engine, None, session, None, options)  # type: ignore[arg-type]


def drive(batch: EngineThread, clock: DrivenClock, seconds: float, pause: int = 0) -> tuple[list[tuple[int, int]], int]:
    """Offer 25 driving frames a second by this clock, after a pause in microseconds.

    Returns (time of output, pts) of each frame that came out, and the number of frames offered.
    """
    out: list[tuple[int, int]] = []
    began = clock.at + pause
    offered, ends = 0, began + round(seconds * US)
    while (at := min(each for each in (began + offered * FRAME, clock.until, batch.due()) if each is not None)) < ends:
        clock.at = max(clock.at, at)
        if clock.until is not None and clock.until <= clock.at:
            clock.wake()
        elif began + offered * FRAME <= clock.at:
            batch.offer(Driving(began + offered * FRAME, None, None), {})
            offered += 1
        elif (paced := batch.due_frame(clock.at)) is not None:
            out.append((clock.at, paced.frame.pts))
        wait_for(lambda: clock.until is not None or is_waiting(batch) or batch.failure, every=0.0005)
        assert batch.failure is None
    return out, offered


def is_waiting(batch: EngineThread) -> bool:
    """Whether its thread has nothing to do."""
    return len(vars(batch._guard)["_waiters"]) == 1
