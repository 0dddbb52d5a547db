"""Speech with known phonemes on the mesh engine: lips close where the sound is closed, and open with what is voiced."""

import pytest

from engines.mesh.speech.speech_share import SpeechShare
from harness.lip_sync import closures, follows, opening, resting_movement, same_however_cut, speak_sound
from harness.lip_sync import speech as spoken
from tests.support.engines.mesh_material import avatar
from tests.support.files.voice_material import closed
from training.visemes.espeak import espeak_installed

pytestmark = pytest.mark.apart

speech = pytest.mark.skipif(
    not espeak_installed(), reason="espeak-ng is not installed (Debian: libespeak-ng1, espeak-ng-data)"
)


@speech
def test_lips_close_where_the_sound_is_closed_and_hardly_elsewhere() -> None:
    for face in (avatar().face, closed(avatar().face)):
        figures = closures(face)
        assert figures["in_the_sound"] > 60
        assert figures["seen_within_40ms"] >= 0.9, figures
        assert figures["frames_closed_without"] <= 0.25, figures


@speech
def test_the_mouth_opens_with_what_is_voiced_in_languages_it_has_not_heard() -> None:
    for voice, match in follows(closed(avatar().face), 0.0).items():
        assert match > 0.6, (voice, match)


@speech
@pytest.mark.parametrize("voice", ["en-us+m4", "it+linda"])
def test_speech_is_not_taken_for_music(voice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    face, sound = closed(avatar().face), spoken(voice)[0]
    moved = opening(speak_sound(face, sound), 0.0)
    monkeypatch.setattr(SpeechShare, "add_frame", lambda *_: 1.0)
    would = opening(speak_sound(face, sound), 0.0)
    assert would.mean() > 0.02 and abs(moved.mean() / would.mean() - 1) < 0.03


def test_without_speech_the_mouth_is_at_rest() -> None:
    figures = resting_movement(closed(avatar().face), 0.0)
    assert figures["silence"] == figures["quiet_room"] == 0.0 and figures["loud_room"] < 0.25, figures


def test_noise_too_is_the_same_however_it_is_cut() -> None:
    assert same_however_cut(avatar().face)
