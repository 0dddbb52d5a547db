"""An agent's speech comes out complete and in order, however it is sent; the line waits for slow speech."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.sessions.speech_line import AHEAD_S, JITTER_US, SaidTick, SpeechLine
from shared.media.pcm import PcmDecoder
from shared.runtime.clock import US

TICK = 1920
TICK_US = 40_000
AHEAD_US = 85_000
ENOUGH = (AHEAD_US + JITTER_US) * 48_000 // US


def speech(seconds: float, first: int = 1) -> NDArray[np.int16]:
    """Return samples that count up, so that each is recognised by its value."""
    return (np.arange(int(seconds * 48_000)) % 30_000 + first).astype(np.int16)


def taken(line: SpeechLine, ticks: int, begin: int = 0) -> list[SaidTick]:
    return [line.take(TICK, (begin + number) * TICK_US) for number in range(ticks)]


def sound(ticks: list[SaidTick]) -> NDArray[np.int16]:
    return np.concatenate([tick.samples for tick in ticks])


def lengths(ticks: list[SaidTick]) -> dict[int, int]:
    """Return how many samples were taken of each segment that has ended."""
    spans = [span for tick in ticks for span in tick.spans]
    ended = [span.segment for span in spans if span.last]
    assert len(ended) == len(set(ended)), "a segment ends once"
    return {number: sum(span.count for span in spans if span.segment == number) for number in ended}


def test_a_segment_sent_at_once_comes_out_at_once_and_to_the_sample() -> None:
    line, said = SpeechLine(AHEAD_US), speech(0.5)
    number = line.begin()
    line.add(number, said)
    line.finish(number)
    ticks = taken(line, 15)
    assert np.array_equal(sound(ticks)[: len(said)], said) and not sound(ticks)[len(said) :].any()
    assert lengths(ticks) == {number: len(said)}
    assert [span.first for span in ticks[0].spans] == [True] and not any(tick.spans[0].first for tick in ticks[1:13])


def test_two_segments_have_each_an_end_of_their_own() -> None:
    line = SpeechLine(AHEAD_US)
    for seconds in (0.31, 0.2):
        number = line.begin()
        line.add(number, speech(seconds))
        line.finish(number)
    assert lengths(taken(line, 20)) == {0: 14880, 1: 9600}


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_a_voice_at_its_own_pace_begins_with_its_fifth_block_of_20_ms(rate: int) -> None:
    """With 85 ms of look-ahead, at any rate: samples that the resampler holds back do not cost a sixth block."""
    line, decoder = SpeechLine(AHEAD_US), PcmDecoder(rate, "s16")
    number, begun = line.begin(), []
    for block in range(6):
        line.add(number, decoder.feed(np.ones(rate // 50, np.int16).tobytes()))
        begun.append(bool(line.take(1, block).spans))
    assert begun == [False, False, False, False, True, True]


def test_a_segment_without_sound_ends_too() -> None:
    line = SpeechLine(AHEAD_US)
    line.finish(line.begin())
    assert lengths(taken(line, 1)) == {0: 0}


def test_a_voice_in_real_time_begins_when_its_face_can_be_drawn_and_then_never_stops() -> None:
    line, said = SpeechLine(AHEAD_US), speech(2.0)
    number, ticks = line.begin(), []
    for tick in range(60):
        block = said[tick * TICK : (tick + 1) * TICK]
        line.add(number, block)
        if not len(block):
            line.finish(number)
        ticks.append(line.take(TICK, tick * TICK_US))
        assert len(line.coming(ENOUGH)) >= AHEAD_US * 48_000 // US - TICK or not ticks[-1].samples.any()
    heard = sound(ticks)
    begins = int(np.flatnonzero(heard)[0])
    assert begins == -(-ENOUGH // TICK) * TICK - TICK  # at the tick that brings enough samples
    assert np.array_equal(heard[begins : begins + len(said)], said)


def test_a_little_voice_is_waited_for_no_longer_than_a_face_needs() -> None:
    line = SpeechLine(AHEAD_US)
    line.add(line.begin(), speech(0.02))
    silent = [tick for tick in range(10) if not line.take(TICK, tick * TICK_US).samples.any()]
    assert silent[:3] == [0, 1, 2] and 3 not in silent  # 100 ms, in ticks


def test_a_segment_that_runs_dry_has_not_ended() -> None:
    line, said = SpeechLine(AHEAD_US), speech(1.0)
    number = line.begin()
    line.add(number, said[:24_000])
    before = taken(line, 40)
    assert lengths(before) == {}
    line.add(number, said[24_000:])
    line.finish(number)
    after = taken(line, 20, 40)
    assert lengths([*before, *after]) == {number: len(said)}
    heard = sound([*before, *after])
    assert np.array_equal(heard[heard != 0], said)


def test_what_is_cleared_is_not_said_and_what_follows_is() -> None:
    line = SpeechLine(AHEAD_US)
    line.add(first := line.begin(), speech(1.0))
    early = line.take(TICK, 0)
    assert line.clear() == 1 and early.clears != line.clears
    line.add(first, speech(1.0))  # in flight when the interrupt came
    assert not sound(taken(line, 5, 1)).any()
    line.add(second := line.begin(), speech(0.2))
    line.finish(second)
    assert lengths(taken(line, 10, 6)) == {second: 9600}


@pytest.mark.parametrize("ahead", [0, 85_000, 400_000])
def test_what_is_coming_is_what_is_then_taken(ahead: int) -> None:
    line = SpeechLine(ahead)
    for seconds in (0.5, 0.3):
        line.add(number := line.begin(), speech(seconds, first=number * 7 + 1))
        line.finish(number)
    known = np.zeros(0, np.int16)
    for tick in range(30):
        block = line.take(TICK, tick * TICK_US).samples
        assert np.array_equal(known[:TICK], block[: len(known)])
        known = line.coming(ahead * 48_000 // US)


def test_more_than_can_wait_is_refused() -> None:
    line = SpeechLine(AHEAD_US)
    number, minute = line.begin(), np.ones(48_000 * 60, np.int16)
    for _ in range(12):
        line.add(number, minute)
    assert line.refused == 2 * len(minute)


def test_what_a_tick_knows_ahead_is_what_the_next_ticks_take() -> None:
    line, said = SpeechLine(AHEAD_US), speech(0.5)
    assert not len(line.take(TICK, 0).ahead)
    number = line.begin()
    line.add(number, said[:12_000])
    first = line.take(TICK, TICK_US)
    assert np.array_equal(first.ahead, said[TICK : TICK + round(AHEAD_S * 48_000)])
    line.add(number, said[12_000:])
    line.finish(number)
    following = sound(taken(line, 12, 2))
    assert np.array_equal(following[: len(first.ahead)], first.ahead)
    assert not len(line.take(TICK, 14 * TICK_US).ahead)  # the segment has ended


def test_a_segment_that_does_not_play_yet_is_not_known_ahead() -> None:
    line = SpeechLine(AHEAD_US)
    line.add(line.begin(), speech(0.02))
    assert not len(line.take(TICK, 0).ahead)
