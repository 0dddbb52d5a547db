"""A Celery worker that has stopped taking messages is noticed; one that works or waits is left alone."""

import time

import pytest

from services.renderer.worker.shared_state import SharedState
from services.renderer.worker.supervisor import STALLED_S, StallDetector


def test_only_what_is_idle_beside_a_full_queue_has_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waiting = [0.0], [1]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    link = SharedState.create()
    idle = StallDetector(link, lambda: {"counter.normal": waiting[0]})

    def after(seconds: float) -> bool:
        """Whether a stall is reported within this time, with a check every two seconds."""
        said = False
        for _ in range(int(seconds / 2)):
            now[0] += 2
            said |= idle.stalled()
        return said

    assert not after(STALLED_S - 4)
    assert after(8), "nothing was done for long enough"
    link.begin_message("a job")
    assert not after(10 * STALLED_S), "it is at work"
    assert link.job == "a job"
    link.end_message()
    assert not after(STALLED_S - 4)
    link.begin_message("another")
    link.end_message()
    assert not after(STALLED_S - 4), "it has done something meanwhile"
    waiting[0] = 0
    assert not after(10 * STALLED_S), "nothing waits for it"
    link.begin_message("a job")
    link.set_child(17)
    assert (link.job, link.child, link.taken) == ("", 17, 3), "the child that was at it is dead"
    link.close()
