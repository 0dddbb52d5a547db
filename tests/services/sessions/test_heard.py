"""The agent gets one report for each segment, in order, of how much of it was heard."""

import asyncio
from collections.abc import Callable

import pytest

from services.sessions.heard import HeardSpeech
from services.sessions.speech_line import SpeechSpan
from tests.support.running.driven_loop import run_driven

TICK = 1920


class HeardReports:
    def __init__(self) -> None:
        self.started = 0
        self.finished: list[tuple[float, bool]] = []

    def begin(self) -> None:
        self.started += 1

    def end(self, seconds: float, interrupted: bool) -> None:
        self.finished.append((round(seconds, 3), interrupted))


def run(play: Callable[[HeardSpeech, float], None], after: float = 0.0) -> HeardReports:
    """Return the reports that were made within `after` seconds."""

    async def body() -> HeardReports:
        told = HeardReports()
        play(HeardSpeech(told.begin, told.end), asyncio.get_running_loop().time())
        await asyncio.sleep(after)
        return told

    return run_driven(body())


def ticks(heard: HeardSpeech, segment: int, first: int, count: int, at: float, *, ends: bool = True) -> None:
    for number in range(count):
        span = SpeechSpan(segment, 0, TICK, number == 0, ends and number == count - 1)
        heard.add((span,), at + (first + number) * 0.04)


def test_a_segment_ends_when_its_last_sample_has_been_heard() -> None:
    def play(heard: HeardSpeech, at: float) -> None:
        ticks(heard, 0, 0, 2, at - 0.06)

    assert run(play, 0.0).finished == []
    told = run(play, 0.05)
    assert (told.started, told.finished) == (1, [(0.08, False)])


def test_an_interrupt_is_reported_with_what_was_heard_and_what_waited_with_nothing() -> None:
    def play(heard: HeardSpeech, at: float) -> None:
        ticks(heard, 0, 0, 25, at - 0.5, ends=False)
        heard.interrupt(3)
        heard.interrupt(3)

    told = run(play, 0.1)
    assert [interrupted for _, interrupted in told.finished] == [True, True, True]
    assert told.finished[0][0] == pytest.approx(0.5) and told.finished[1:] == [(0.0, True)] * 2


def test_a_segment_that_has_ended_is_not_interrupted_as_well() -> None:
    async def body() -> list[tuple[float, bool]]:
        told = HeardReports()
        heard = HeardSpeech(told.begin, told.end)
        ticks(heard, 0, 0, 1, asyncio.get_running_loop().time() - 0.04)
        await asyncio.sleep(0.01)
        heard.interrupt(1)
        return told.finished

    assert run_driven(body()) == [(0.04, False)]


def test_nothing_is_reported_to_an_agent_that_is_gone() -> None:
    def play(heard: HeardSpeech, at: float) -> None:
        ticks(heard, 0, 0, 1, at + 0.02)
        heard.forget(1)
        ticks(heard, 1, 0, 1, at - 0.03)

    reports = run(play, 0.1)
    assert (reports.started, reports.finished) == (1, [(0.04, False)])
