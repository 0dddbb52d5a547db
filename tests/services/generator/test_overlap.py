"""An engine whose calls overlap.

While the frames of one are waited for the next is begun, in order, and never more than that.
"""

import threading
import time
from functools import partial

import pytest

from engines.api import Driving
from harness.channel import wait_for
from services.generator.engine_thread import EngineThread
from shared.errors import OutOfMemoryError
from shared.runtime.clock import US, now
from tests.support.engines.engine_thread_material import FRAME, SIZE, drive, opened
from tests.support.engines.slow_engines import OverlappingSession


def call(batch: EngineThread, start: int, *, restarted: bool = False) -> None:
    """A call's worth of driving frames."""
    for i in range(SIZE):
        batch.offer(Driving(start + i * FRAME, None, None), {}, restarted=restarted and i == 0)


def test_two_calls_take_hardly_longer_than_the_longer_half_of_one() -> None:
    session = OverlappingSession(0.2, 0.2)
    batch = EngineThread(opened(session), lambda: None, 5 * US)
    out, _ = drive(batch, 4)
    batch.close()
    one_by_one = 4 / 0.4 * SIZE
    assert len(out) > 1.3 * one_by_one
    assert session.overlapped >= 5 and session.most == 1, "one is waited for while one is begun, and no more"
    given = [pts for _, pts in out]
    assert given == sorted(set(given)), "in order, none twice"


def test_nothing_is_lost_while_it_keeps_up() -> None:
    session = OverlappingSession(0.01, 0.03)
    batch = EngineThread(opened(session), lambda: None, 5 * US)
    out, offered = drive(batch, 2)
    batch.close()
    missing = (out[-1][1] - out[0][1]) // FRAME + 1 - len(out)
    assert missing <= batch.counted().total(), "what a busy machine was late for is counted"
    assert len(out) > 0.6 * offered


def test_what_is_under_way_when_the_driver_restarts_is_not_shown() -> None:
    session = OverlappingSession(0.0, 0.0)
    session.gate.clear()
    batch = EngineThread(opened(session), lambda: None, 5 * US)
    call(batch, 0)
    wait_for(lambda: session.outstanding == 1)
    call(batch, US)
    wait_for(lambda: session.outstanding == 2)
    call(batch, 10 * US, restarted=True)
    session.gate.set()
    shown: list[int] = []
    ends = time.monotonic() + 20
    while 10 * US + 3 * FRAME not in shown and time.monotonic() < ends:
        shown += [paced.frame.pts for paced in [batch.due_frame(now() + 60 * US)] if paced is not None]
    assert shown and min(shown) >= 10 * US
    assert batch.counted()["face late"] >= 2 * SIZE
    batch.close()


def test_a_failure_while_frames_are_awaited_is_reported() -> None:
    session, told = OverlappingSession(0.0, 0.0), threading.Event()
    session.breaks = [RuntimeError("an illegal memory access")]
    batch = EngineThread(opened(session), told.set, 5 * US)
    call(batch, now())
    assert told.wait(20)
    assert isinstance(batch.failure, RuntimeError)


class Ladder(OverlappingSession):
    quality, adjusts, lowered = "full", False, 0

    def lower(self) -> str | None:
        self.lowered += 1
        return "It goes on with less."


def waiting(session: OverlappingSession, calls: int) -> bool:
    return session.outstanding == calls


@pytest.mark.parametrize("calls", [1, 2])
def test_memory_that_runs_out_while_frames_are_waited_for_costs_one_rung(calls: int) -> None:
    session = Ladder(0.0, 0.0)
    session.gate.clear()
    session.breaks = [OutOfMemoryError("The GPU has too little memory.")] * calls
    batch = EngineThread(opened(session), lambda: None, 5 * US)
    for i in range(calls):
        call(batch, now())
        wait_for(partial(waiting, session, i + 1))
    session.gate.set()
    wait_for(lambda: session.lowered == 1 and session.outstanding == 0)
    assert batch.note == "It goes on with less."
    call(batch, now())
    wait_for(lambda: batch.due_frame(now() + 60 * US) is not None)
    assert session.lowered == 1 and batch.failure is None
    batch.close()
