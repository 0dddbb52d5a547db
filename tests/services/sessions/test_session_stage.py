"""The engine hears the voice in time for each face and only once, and again from where the voice has changed."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.sessions.session_stage import SessionStage
from services.sessions.speech_line import SpeechLine
from shared.avatar.model import load_avatar
from shared.runtime.clock import US, sound_samples, tick_pts
from shared.session_spec import SessionSpec

RATE_FPS = Fraction(25)
AHEAD_US = 85_000
TICK_US = 40_000


@pytest.fixture
def stage(small_home: Path) -> SessionStage:
    spec = SessionSpec(
        id="abcdefgh1234", avatar="sample", engine="mesh", ahead_us=AHEAD_US, width=128, height=192, label=True
    )
    return SessionStage(spec, load_avatar(small_home / "avatars" / "sample"), SpeechLine(AHEAD_US), RATE_FPS)


class EngineEar:
    """Records what the engine heard, by sample number. again: blocks that did not follow the one before."""

    def __init__(self) -> None:
        self.heard: dict[int, int] = {}
        self.again = 0
        self.end = -1

    def hear(self, pts: int, samples: NDArray[np.int16]) -> None:
        first = round(pts * 48_000 / US)
        self.again += self.end not in (-1, first)
        self.end = first + len(samples)
        self.heard |= dict(enumerate(samples.tolist(), first))


def said_ticks(stage: SessionStage, ear: EngineEar, begin: int, count: int) -> NDArray[np.int16]:
    """Return the sound of some ticks; check that the engine has heard it and what each tick's face needs."""
    sounds = []
    for tick in range(begin, begin + count):
        said, voice = stage.say(tick, tick_pts(tick, RATE_FPS))
        if voice is not None:
            ear.hear(*voice)
        first, end = sound_samples(tick, RATE_FPS, 48_000)
        assert [ear.heard[number] for number in range(first, end)] == said.samples.tolist()
        assert ear.end * US >= (tick_pts(tick, RATE_FPS) + AHEAD_US) * 48_000, (
            "what the tick's face needs was handed over"
        )
        sounds.append(said.samples)
    return np.concatenate(sounds)


def test_a_face_of_each_tick_can_be_drawn_of_what_was_told(stage: SessionStage) -> None:
    ear = EngineEar()
    assert not said_ticks(stage, ear, 100, 5).any()
    assert ear.again == 0
    number, line = stage.line.begin(), np.arange(1, 24_001).astype(np.int16)
    stage.line.add(number, line)
    stage.line.finish(number)
    heard = said_ticks(stage, ear, 105, 20)
    assert np.array_equal(heard[:24_000], line) and ear.again == 1  # first silence was heard, then speech
    assert not said_ticks(stage, ear, 125, 5).any() and ear.again == 1


def test_after_an_interrupt_the_engine_hears_silence_at_once(stage: SessionStage) -> None:
    ear = EngineEar()
    stage.line.add(stage.line.begin(), np.full(96_000, 9, np.int16))
    assert said_ticks(stage, ear, 0, 5).all()
    stage.line.clear()
    assert not said_ticks(stage, ear, 5, 3).any() and ear.again == 1


def test_after_missed_ticks_nothing_of_the_voice_is_missing(stage: SessionStage) -> None:
    ear, line = EngineEar(), np.arange(1, 24_001).astype(np.int16)
    number = stage.line.begin()
    stage.line.add(number, line)
    stage.line.finish(number)
    heard = [said_ticks(stage, ear, 0, 3), said_ticks(stage, ear, 7, 12)]
    assert np.array_equal(np.concatenate(heard)[:24_000], line)


def test_ticks_that_a_stall_skipped_are_said_as_far_as_the_room_had_their_sound(stage: SessionStage) -> None:
    stage.line.add(stage.line.begin(), np.full(96_000, 9, np.int16))
    assert stage.ticks_to_say(10) == [10]
    stage.say(10, 0)
    assert stage.ticks_to_say(11) == [11]
    assert stage.ticks_to_say(14) == [11, 12, 13, 14]
    assert stage.ticks_to_say(30) == [11, 12, 13, 14, 15, 30]  # 0.2 s are five ticks


@pytest.mark.parametrize("cleared", [False, True])
def test_without_sound_in_advance_a_stall_skips_no_speech(stage: SessionStage, cleared: bool) -> None:
    if cleared:
        stage.line.add(stage.line.begin(), np.full(96_000, 9, np.int16))
    stage.say(10, 0)
    if cleared:
        stage.line.clear()
    assert stage.ticks_to_say(14) == [14]


def test_a_frame_is_of_the_size_that_was_asked_for_and_has_the_label(stage: SessionStage) -> None:
    frame = stage.frame(1)
    assert (frame.width, frame.height, frame.state) == (128, 192, "plate")
    assert frame.label_box is not None
