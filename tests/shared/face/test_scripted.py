"""The scripted performance looks and sounds like a person talking, and its end joins its beginning."""

import numpy as np
import pytest

from harness.sample_avatar import sample_avatar
from shared.face.landmarks import Face
from shared.face.scripted import SCRIPT_S, Gesture, gesture_at, perform, shape, voice
from shared.runtime.clock import SOUND_RATE_HZ

TIMES = np.arange(0.0, SCRIPT_S, 0.02)


@pytest.fixture(scope="module")
def face() -> Face:
    return sample_avatar().face


def test_no_gesture_is_the_face_itself(face: Face) -> None:
    assert np.abs(shape(face, Gesture()).points - face.points).max() < 1e-3


@pytest.mark.parametrize("part,degrees", [("yaw", 12.0), ("pitch", -9.0), ("roll", 7.0)])
def test_a_turn_is_measured_as_what_it_was_asked_for(face: Face, part: str, degrees: float) -> None:
    turned = shape(face, Gesture(**{part: degrees})).pose
    for name in ("yaw", "pitch", "roll"):
        moved = getattr(turned, name) - getattr(face.pose, name)
        assert moved == pytest.approx(degrees if name == part else 0.0, abs=0.1)


def test_the_mouth_opens_and_hardly_turns_the_head(face: Face) -> None:
    wide = shape(face, Gesture(mouth=1.0))
    assert wide.mouth_opening - face.mouth_opening > 0.12
    assert abs(wide.pose.pitch - face.pose.pitch) < 0.1
    assert wide.points[152, 1] > face.points[152, 1] + 5


def test_blinks_close_the_eyes_three_or_four_times(face: Face) -> None:
    closed = np.array([gesture_at(t).blink for t in TIMES]) > 0.5
    assert 3 <= int((np.diff(closed.astype(int)) == 1).sum()) <= 4
    assert sum(shape(face, Gesture(blink=1.0)).eye_openings) < 0.35 * sum(face.eye_openings)


def test_it_is_a_loop_without_a_jump(face: Face) -> None:
    end, start = perform(face, SCRIPT_S - 0.01), perform(face, SCRIPT_S)
    assert np.abs(start.points - perform(face, 0.0).points).max() < 1e-4
    assert np.abs(end.points - start.points).max() < 2.0


def test_speech_has_syllables_and_pauses(face: Face) -> None:
    mouth = np.array([gesture_at(t).mouth for t in TIMES])
    assert mouth.max() > 0.8
    assert 0.2 < float((mouth < 0.02).mean()) < 0.6
    starts = TIMES[1:][np.diff((mouth > 0.2).astype(int)) == 1]
    assert len(starts) >= 8
    assert np.std(np.diff(starts)) > 0.1, "it is metronomic"


def test_the_voice_is_as_loud_as_the_mouth_is_open() -> None:
    sound = voice(SCRIPT_S).astype(float)
    assert len(sound) == SCRIPT_S * SOUND_RATE_HZ
    block = SOUND_RATE_HZ // 50
    loud = np.sqrt((sound.reshape(-1, block) ** 2).mean(axis=1))
    mouth = np.array([gesture_at(t + 0.01).mouth for t in TIMES])
    assert np.corrcoef(loud, mouth)[0, 1] > 0.8
    assert loud[mouth < 1e-3].max() < 0.02 * loud.max(), "there is sound while the mouth rests"
    assert 5_000 < np.abs(sound).max() < 32_000


def test_the_voice_goes_round_for_as_long_as_asked() -> None:
    once, longer = voice(SCRIPT_S), voice(SCRIPT_S + 0.5)
    assert longer.dtype == np.int16
    assert np.array_equal(longer[: len(once)], once)
    assert np.array_equal(longer[len(once) :], once[: SOUND_RATE_HZ // 2])
