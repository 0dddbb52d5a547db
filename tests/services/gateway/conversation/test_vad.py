"""Turns are detected in real speech, whatever the size of its blocks, and in no other sound."""

import numpy as np
import pytest

from harness.talk_server import quiet_pcm, spoken_pcm
from services.gateway.conversation.vad import (
    BEGIN_BLOCKS,
    BLOCK_BYTES,
    BLOCK_MS,
    LEAD_BLOCKS,
    LONGEST_MS,
    TurnBegun,
    TurnDetector,
    TurnEnded,
    load_speech_share,
)
from shared.errors import StudioError

SILENCE_MS = 600
QUESTION_S = 3.1  # "Hello there, what is the weather like in Paris today?" by espeak-ng, with its silence


@pytest.fixture(scope="module")
def question() -> bytes:
    return spoken_pcm("Hello there, what is the weather like in Paris today?")


def of_shares(shares: list[float]) -> list[tuple[int, TurnBegun | TurnEnded]]:
    """Return the events of a detector for these shares of speech per block, each with the number of its block."""
    told = iter(shares)
    detector = TurnDetector(lambda block: next(told), SILENCE_MS)
    return [(number, event) for number in range(len(shares)) for event in detector.feed(bytes(BLOCK_BYTES))]


@pytest.mark.apart
@pytest.mark.parametrize("block", [640, 3200, 1000])
def test_a_spoken_question_is_one_turn_with_all_of_its_sound(question: bytes, block: int) -> None:
    detector = TurnDetector(load_speech_share(), SILENCE_MS)
    heard = quiet_pcm(1.0) + question + quiet_pcm(1.5)
    found = [event for at in range(0, len(heard), block) for event in detector.feed(heard[at : at + block])]
    begun, ended = found
    assert isinstance(begun, TurnBegun) and begun.delay_ms == BEGIN_BLOCKS * BLOCK_MS
    assert isinstance(ended, TurnEnded) and SILENCE_MS <= ended.delay_ms < SILENCE_MS + BLOCK_MS
    at = heard.index(ended.pcm)
    loud = np.flatnonzero(np.abs(np.frombuffer(question, np.int16)) > 1500)
    first, last = (2 * int(loud[n]) + 32_000 for n in (0, -1))
    assert at <= first and last <= at + len(ended.pcm)


@pytest.mark.apart
def test_two_questions_with_a_pause_are_two_turns_and_with_a_breath_one(question: bytes) -> None:
    for pause, turns in ((1.2, 2), (0.2, 1)):
        detector = TurnDetector(load_speech_share(), SILENCE_MS)
        found = detector.feed(quiet_pcm(0.5) + question + quiet_pcm(pause) + question + quiet_pcm(1.5))
        assert sum(isinstance(event, TurnEnded) and bool(event.pcm) for event in found) == turns


@pytest.mark.unit
@pytest.mark.parametrize("loud", [10, 300, 6000])
def test_noise_and_a_tone_are_no_turn(loud: int) -> None:
    time = np.arange(16_000 * 3) / 16_000
    noise = np.random.default_rng(2).normal(0, loud, len(time))
    for sound in (noise, np.sin(2 * np.pi * 440 * time) * loud):
        assert not TurnDetector(load_speech_share(), SILENCE_MS).feed(sound.clip(-32000, 32000).astype("<i2").tobytes())


@pytest.mark.unit
def test_a_click_begins_nothing_and_a_cough_is_empty() -> None:
    assert not of_shares([0.0] * 20 + [0.9] * (BEGIN_BLOCKS - 1) + [0.0] * 40)
    (begun, _), (ended, event) = of_shares([0.0] * 20 + [0.9] * BEGIN_BLOCKS + [0.0] * 40)
    assert begun == 20 + BEGIN_BLOCKS - 1 and ended - begun == -(-SILENCE_MS // BLOCK_MS)
    assert isinstance(event, TurnEnded) and not event.pcm


@pytest.mark.unit
def test_a_turn_has_what_came_before_its_beginning_and_a_pause_within_it_ends_nothing() -> None:
    pause = SILENCE_MS // BLOCK_MS - 1
    (_, _), (_, event) = of_shares([0.0] * 50 + [0.9] * 10 + [0.1] * pause + [0.4] * 3 + [0.0] * 40)
    assert isinstance(event, TurnEnded)
    blocks = LEAD_BLOCKS + 10 + pause + 3 + -(-SILENCE_MS // BLOCK_MS)
    assert len(event.pcm) == blocks * BLOCK_BYTES


@pytest.mark.unit
def test_one_who_does_not_stop_is_written_down_every_half_minute() -> None:
    found = of_shares([0.9] * (2500 * 1000 // BLOCK_MS // 25))
    ends = [event for _, event in found if isinstance(event, TurnEnded)]
    assert len(ends) == 3 and all(0 < len(each.pcm) <= (LONGEST_MS // BLOCK_MS + 1) * BLOCK_BYTES for each in ends)
    assert sum(len(each.pcm) for each in ends) >= 3 * (LONGEST_MS // BLOCK_MS - 1) * BLOCK_BYTES


@pytest.mark.unit
def test_after_a_reset_nothing_of_a_turn_is_left() -> None:
    detector = TurnDetector(lambda block: 0.9, SILENCE_MS)
    detector.feed(bytes(10 * BLOCK_BYTES + 100))
    assert detector.in_turn
    detector.reset()
    assert not detector.in_turn and not detector.feed(bytes((BEGIN_BLOCKS - 1) * BLOCK_BYTES))


@pytest.mark.unit
def test_a_processor_on_which_the_network_would_end_the_gateway_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("cv2.checkHardwareSupport", lambda feature: False)
    with pytest.raises(StudioError, match="lacks AVX2"):
        load_speech_share()
