"""What the tests of batches share: a session opened by hand, and a driver in real time."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.api import Driving
from engines.mesh.engine import INFO
from services.generator.engine_thread import EngineThread
from services.generator.session_opener import OpenedSession
from shared.runtime.clock import US, now
from tests.support.engines.slow_engines import LadderEngine, LadderOptions

SIZE, FRAME = 4, 40_000
PIXELS: NDArray[np.uint8] = np.zeros((4, 4, 3), np.uint8)


def opened(session: Any, size: int = SIZE, options: LadderOptions | None = None) -> OpenedSession:
    """A session of an engine that takes `size` frames at a time and holds four calls' worth back."""
    engine = LadderEngine()
    engine.info = replace(INFO, frames_per_step=size, frames_held=4 * size - 1)
    return OpenedSession(engine, None, session, None, options)  # type: ignore[arg-type]


def drive(batch: EngineThread, seconds: float, start: int | None = None) -> tuple[list[tuple[int, int]], int]:
    """A driver of 25 frames a second in real time; (handed on at, pts) of what comes out, and how many went in."""
    out: list[tuple[int, int]] = []
    offered, began = 0, now() if start is None else start
    while now() - began < seconds * US:
        if now() >= began + offered * FRAME:
            batch.offer(Driving(began + offered * FRAME, None, None), {})
            offered += 1
        if (paced := batch.due_frame(now())) is not None:
            out.append((now(), paced.frame.pts))
        assert batch.failure is None
        time.sleep(0.002)
    return out, offered
