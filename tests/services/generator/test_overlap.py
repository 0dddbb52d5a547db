"""An engine whose calls overlap.

The next call begins while the frames of one are awaited, in order, and no third call begins meanwhile.
"""

import threading
from functools import partial

import pytest

from engines.api import Driving
from harness.channel import wait_for
from services.generator.engine_thread import EngineThread
from shared.errors import OutOfMemoryError
from shared.runtime.clock import US, now
from tests.support.engines.engine_thread_material import FRAME, SIZE, opened
from tests.support.engines.slow_engines import OverlappingSession


def call(batch: EngineThread, start: int, *, restarted: bool = False) -> None:
    """Offer the driving frames of one call."""
    for i in range(SIZE):
        batch.offer(Driving(start + i * FRAME, None, None), {}, restarted=restarted and i == 0)


def handed_on(batch: EngineThread) -> list[int]:
    """Return the pts of all frames that are ready to be handed on, each at its due time."""
    given = list[int]()
    while (due := batch.due()) is not None:
        paced = batch.due_frame(due)
        assert paced is not None
        given.append(paced.frame.pts)
    return given


def test_a_call_is_begun_while_the_frames_of_one_are_waited_for_and_no_more() -> None:
    session = OverlappingSession()
    session.gate.clear()
    batch = EngineThread(opened(session), lambda: None, 5 * US)
    began, given = now() + US, list[int]()
    for number in range(3):
        call(batch, began + number * SIZE * FRAME)
        wait_for(partial(waiting, session, min(number + 1, 2)))
    session.gate.set()
    while len(given) < 3 * SIZE:
        given += wait_for(partial(handed_on, batch))
    assert session.most == 1, "one is waited for while one is begun"
    assert given == [began + number * FRAME for number in range(3 * SIZE)], "in order, none lost, none twice"
    assert not +batch.counted()
    batch.close()


def test_what_is_under_way_when_the_driver_restarts_is_not_shown() -> None:
    session = OverlappingSession()
    session.gate.clear()
    batch = EngineThread(opened(session), lambda: None, 5 * US)
    call(batch, 0)
    wait_for(lambda: session.outstanding == 1)
    call(batch, US)
    wait_for(lambda: session.outstanding == 2)
    call(batch, 10 * US, restarted=True)
    session.gate.set()
    shown = list[int]()
    while 10 * US + 3 * FRAME not in shown:
        shown += wait_for(partial(handed_on, batch))
    assert min(shown) >= 10 * US
    assert batch.counted()["face late"] >= 2 * SIZE
    batch.close()


def test_a_failure_while_frames_are_awaited_is_reported() -> None:
    session, told = OverlappingSession(), threading.Event()
    session.breaks = [RuntimeError("an illegal memory access")]
    batch = EngineThread(opened(session), told.set, 5 * US)
    call(batch, now())
    assert told.wait(60)
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
    session = Ladder()
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
