"""The mesh engine's lips rest during music, and speech moves them as if music were not detected at all."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.api import VoiceBlock
from engines.mesh.speech.mel_features import BANDS
from engines.mesh.speech.speech_motion import Speaker, SpeechMotion
from engines.mesh.speech.speech_share import SpeechShare
from shared.runtime.clock import SOUND_RATE_HZ, US
from tests.support.engines.mesh_material import avatar
from tests.support.files.music_material import music
from tests.support.files.voice_material import babble, closed, silence, sound_of, voiced

RATE_FPS = Fraction(25)


def _said(sound: NDArray[np.int16], block: int = 4800) -> list[SpeechMotion]:
    by, out = Speaker(closed(avatar().face), RATE_FPS), list[SpeechMotion]()
    for at in range(0, len(sound), block):
        out += by.hear(VoiceBlock(at * US // SOUND_RATE_HZ, sound[at : at + block]))
    return out + by.flush()


def _gaps(sound: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return how far the lips are apart in each frame, in eye distances."""
    return np.array([float(each.motion.lips[2:7].mean()) for each in _said(sound)])


def _trusting(sound: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the gaps if all sound counts as speech."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SpeechShare, "add_frame", lambda *_: 1.0)
        return _gaps(sound)


def _talk(syllables: int) -> NDArray[np.float64]:
    """Return syllables of several vowels, lengths and pitches, with a closed sound before each."""
    parts = []
    for n in range(syllables):
        vowel, length, pitch = (
            ("a", "i", "a")[n % 3],
            (0.16, 0.11, 0.2, 0.13)[n % 4],
            (120.0, 140.0, 105.0, 128.0, 112.0)[n % 5],
        )
        parts += [voiced("m", 0.06, pitch=pitch), voiced(vowel, length, pitch=pitch), silence(0.05 if n % 6 else 0.3)]
    return np.concatenate(parts)


@pytest.mark.parametrize("kind", ["pad", "piano", "lead", "drums", "band"])
def test_music_moves_the_lips_by_a_third_at_most(kind: str) -> None:
    sound = sound_of([music(kind, 7.0)])
    moved, would = _gaps(sound), _trusting(sound)
    assert moved[50:].mean() < would[50:].mean() / 3, "after two seconds"
    assert moved[100:].mean() < would[100:].mean() / 8, "after four"


@pytest.mark.parametrize(("kind", "quiet"), [("pad", 0.0), ("pad", 0.15), ("piano", 0.15), ("band", 0.15)])
def test_speech_moves_the_lips_over_quiet_music_too(kind: str, quiet: float) -> None:
    talk = _talk(28)
    behind = music(kind, len(talk) / SOUND_RATE_HZ + 1, 1.0)[: len(talk)]
    level = quiet * np.sqrt(np.mean(talk**2) / np.mean(behind**2))
    sound = sound_of([talk + level * behind])
    assert _gaps(sound).mean() > 0.97 * _trusting(sound).mean()


def test_the_first_syllables_open_in_time_even_after_music() -> None:
    for before in ([silence(0.5)], [music("lead", 5.0), silence(1.5)]):
        sound = sound_of([*before, babble(6)])
        begins = round(len(np.concatenate(before)) / SOUND_RATE_HZ * 25)
        moved, would = _gaps(sound)[begins:], _trusting(sound)[begins:]
        assert would.max() > 0.05 and np.abs(moved - would).max() < 0.002


def test_three_tenths_of_a_second_are_trusted_first_and_again_after_a_pause() -> None:
    """All bands begin together, as with a drum, and stay as they are, as with a held note."""
    share, quiet, note = SpeechShare(), np.full(BANDS, -80.0, np.float32), np.full(BANDS, -20.0, np.float32)
    for pause, trusted in ((3, True), (40, False), (100, True)):
        for _ in range(pause):
            share.add_frame(quiet, -15.0, 1.0)
        begun = [share.add_frame(note, -15.0, 0.0) for _ in range(250)]
        assert (min(begun[:30]) == 1.0) == trusted and begun[-1] == 0.0, pause


def test_speech_right_after_music_is_heard_within_a_second() -> None:
    sound = sound_of([music("pad", 6.0), _talk(24)])
    moved, would = _gaps(sound)[175:], _trusting(sound)[175:]
    assert moved.mean() > 0.97 * would.mean()


def test_music_is_the_same_however_it_is_cut() -> None:
    sound = sound_of([_talk(4), music("lead", 2.5), silence(1.2), babble(2)])
    ways = [_said(sound, block) for block in (len(sound), 960, 313)]
    for other in ways[1:]:
        assert all(np.array_equal(a.motion.flat(), b.motion.flat()) for a, b in zip(other, ways[0], strict=True))


def test_a_restored_speaker_still_knows_that_it_hears_music() -> None:
    sound = sound_of([music("lead", 4.0)])
    one, two = (Speaker(closed(avatar().face), RATE_FPS) for _ in range(2))
    half = len(sound) // 2 + 77
    one.hear(VoiceBlock(0, sound[:half]))
    two.restore(one.save())
    rest = VoiceBlock(half * US // SOUND_RATE_HZ, sound[half:])
    a, b = one.hear(rest) + one.flush(), two.hear(rest) + two.flush()
    assert len(a) > 40 and all(np.array_equal(x.motion.flat(), y.motion.flat()) for x, y in zip(a, b, strict=True))
