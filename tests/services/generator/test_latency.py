"""The delay stated for an engine, and how much slower than its driver the engine is."""

import pytest

from services.generator.latency import STEADY_BATCHES, EngineLatency

FRAME_US = 40_000


def measured(took: int, batches: int = 1) -> EngineLatency:
    """Return the latency of an engine whose calls of four frames take `took` us, with a window of four calls."""
    delay = EngineLatency(4, 15)
    for i in range(50):
        delay.note_offer(i * FRAME_US)
    for i in range(STEADY_BATCHES + 1):
        delay.note_call(i * 1_000_000, i * 1_000_000 + took, batches)
    for i in range(20):
        delay.note_shown(700_000 + 1000 * i)
    return delay


def test_a_model_that_keeps_up_waits_for_the_driver_to_fill_its_calls() -> None:
    facts = measured(100_000).as_dict()
    assert facts == {"frames": 4, "calls": 4, "interval_ms": 40.0, "call_ms": 100.0,
                     "floor_ms": 3 * 40 + 3 * 160 + 100, "ms": 709.5}  # fmt: skip


def test_a_model_that_does_not_waits_for_its_own_calls() -> None:
    facts = measured(300_000).as_dict()
    assert facts is not None and facts["floor_ms"] == 3 * 40 + 3 * 300 + 300


def test_a_model_that_takes_every_second_frame_has_twice_the_time_and_twice_the_fill() -> None:
    delay = measured(300_000, batches=2)
    facts = delay.as_dict()
    assert facts is not None and facts["interval_ms"] == 80.0 and facts["floor_ms"] == 3 * 80 + 3 * 320 + 300
    assert delay.load == pytest.approx(300 / 320)
    assert measured(300_000).load == pytest.approx(300 / 160)


def test_a_call_under_way_beside_another_counts_from_where_that_was_done() -> None:
    delay = EngineLatency(4, 15)
    for i in range(50):
        delay.note_offer(i * FRAME_US)
    for i in range(STEADY_BATCHES + 1):
        delay.note_call(i * 200_000, 300_000 + i * 200_000, 1)
    assert delay.load == pytest.approx(200 / 160)


def test_no_delay_is_stated_before_it_is_known() -> None:
    delay = EngineLatency(4, 15)
    assert delay.as_dict() is None and delay.load == 0
    delay = measured(100_000)
    known = delay.as_dict(), delay.load
    delay.begin()
    delay.note_call(90_000_000, 99_000_000, 4)
    assert (delay.as_dict(), delay.load) == known, "the call that fills the window is like no other"
    delay.forget()
    assert delay.as_dict() is None and delay.load == 0
