"""The mesh engine driven by a voice: when it returns frames, what the mouth does, what is forgotten and kept."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.api import VoiceBlock
from engines.mesh.session import MeshSession
from engines.mesh.speech.speech_motion import Speaker, SpeechMotion
from engines.registry import load
from shared.runtime.clock import SOUND_RATE_HZ, US, tick_pts
from tests.support.engines.mesh_material import MS, avatar, difference, session, tracked
from tests.support.files.voice_material import babble, closed, silence, sound_of, voiced

RATE_FPS = Fraction(25)


def speaker(rate: Fraction = RATE_FPS) -> Speaker:
    return Speaker(closed(avatar().face), rate)


def said(sound: NDArray[np.int16], by: Speaker | None = None, block: int = 960, pts: int = 0) -> list[SpeechMotion]:
    """Return all motions of a sound that comes in blocks."""
    by = by or speaker()
    out: list[SpeechMotion] = []
    for at in range(0, len(sound), block):
        out += by.hear(VoiceBlock(pts + at * US // SOUND_RATE_HZ, sound[at : at + block]))
    return out + by.flush()


def gaps(of: list[SpeechMotion]) -> NDArray[np.float64]:
    """Return how far the lips of a mouth that rests closed are apart, in eye distances."""
    return np.array([float(each.motion.lips[2:7].mean()) for each in of])


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_frames_lie_on_the_grid_and_come_as_soon_as_the_voice_reaches(rate: Fraction) -> None:
    ahead = load("mesh").info.voice_ahead_us
    sound, by = sound_of([babble(3)]), speaker(rate)
    pts: list[int] = []
    for at in range(0, len(sound), 441):
        pts += [s.pts for s in by.hear(VoiceBlock(at * US // SOUND_RATE_HZ, sound[at : at + 441]))]
        heard = min(at + 441, len(sound)) * US // SOUND_RATE_HZ
        assert pts == [t for n in range(100) if (t := tick_pts(n, rate)) + ahead <= heard]
    pts += [s.pts for s in by.flush()]
    assert pts == [t for n in range(100) if (t := tick_pts(n, rate)) < len(sound) * US // SOUND_RATE_HZ]


def test_the_cut_into_blocks_changes_nothing() -> None:
    sound = sound_of([silence(0.3), babble(3), voiced("m", 0.2), voiced("i", 0.3), silence(0.4)])
    ways = [said(sound, block=block, pts=12_345_678) for block in (len(sound), 960, 1, 4097)[:2] + (313,)]
    for other in ways[1:]:
        assert [s.pts for s in other] == [s.pts for s in ways[0]]
        assert all(np.array_equal(a.motion.flat(), b.motion.flat()) for a, b in zip(other, ways[0], strict=True))


def test_an_open_vowel_opens_the_mouth_and_silence_leaves_it_alone() -> None:
    sound = sound_of([silence(0.8), voiced("a", 0.4), silence(0.8)])
    of = said(sound)
    opened = gaps(of)
    assert opened[2:17].max() < 0.005, "the mouth moves in silence"
    assert opened[24:28].min() > 0.05, "an 'ah' does not open it"
    assert opened[-10:].max() < 0.005, "it stays open after the end"
    assert of[5].waiting and not of[25].waiting and of[-1].waiting


def test_a_wide_vowel_is_narrower_than_an_open_one() -> None:
    ah, ee = (gaps(said(sound_of([silence(0.4), voiced(v, 0.5), silence(0.2)])))[13:20].mean() for v in ("a", "i"))
    assert 0.2 * ah < ee < 0.75 * ah


@pytest.mark.parametrize("loud", [0.003, 0.03, 0.2])
def test_noise_alone_does_not_move_the_mouth(loud: float) -> None:
    noise = np.random.default_rng(3).normal(0, loud, 3 * SOUND_RATE_HZ)
    assert np.mean(gaps(said(sound_of([noise]))) > 0.02) < 0.1


def test_the_mouth_opens_with_the_voice_not_after_it() -> None:
    sound = sound_of([silence(0.5), babble(8), silence(0.5)])
    opened = gaps(said(sound))
    envelope = np.array([np.abs(sound[n * 1920 : n * 1920 + 960].astype(float)).mean() for n in range(len(opened))])
    shifts = range(-4, 5)
    match = [np.corrcoef(np.roll(opened, -shift)[8:-8], envelope[8:-8])[0, 1] for shift in shifts]
    assert max(match) > 0.7 and abs(shifts[int(np.argmax(match))]) <= 1, match


def test_an_interrupt_shuts_the_mouth_within_two_frames_and_without_a_jump() -> None:
    by, sound = speaker(), sound_of([silence(0.2), voiced("a", 1.0)])
    before = by.hear(VoiceBlock(0, sound[: SOUND_RATE_HZ * 8 // 10]))
    by.reset()
    quiet = np.zeros(SOUND_RATE_HZ, np.int16)
    after = by.hear(VoiceBlock(before[-1].pts + 40 * MS, quiet))
    wide = gaps(before)[-1]
    first, second = gaps(after)[:2]
    assert wide > 0.05 and 0.1 * wide < first < 0.8 * wide and second < 0.005
    turns = np.array([s.motion.turn for s in [*before[-3:], *after[:5]]])
    assert np.abs(np.diff(turns, axis=0)).max() < 1.0, "the head jumps"


def test_a_restored_voice_goes_on_as_if_it_had_never_stopped() -> None:
    sound = sound_of([silence(0.2), babble(4)])
    one, two = session(), session()
    half = len(sound) // 2 + 77
    one.hear(VoiceBlock(0, sound[:half]))
    state = one.save()
    assert all(isinstance(value, np.ndarray) for value in state.values())
    two.restore(state)
    rest = VoiceBlock(half * US // SOUND_RATE_HZ, sound[half:])
    a, b = one.hear(rest) + one.flush(), two.hear(rest) + two.flush()
    assert len(a) == len(b) > 10
    assert all(x.pts == y.pts and np.array_equal(x.pixels, y.pixels) for x, y in zip(a[::4], b[::4], strict=True))


def test_the_mouth_in_the_frame_moves_with_the_voice() -> None:
    opened: MeshSession = session()
    frames = opened.hear(VoiceBlock(0, sound_of([silence(0.4), voiced("a", 0.5), silence(0.3)])))
    quiet, loud = tracked(frames[4].pixels), tracked(frames[17].pixels)
    assert loud.mouth_opening - quiet.mouth_opening > 0.03
    assert difference(frames[4].pixels, frames[5].pixels) < 1.0


def test_a_long_talk_blinks_nods_and_never_repeats() -> None:
    sound = sound_of([p for _ in range(12) for p in (babble(5), silence(0.7))])
    of = said(sound, block=len(sound))
    turns = np.array([s.motion.turn for s in of])
    lids = np.array([s.motion.lids.min() for s in of])
    assert 3 <= np.count_nonzero(np.diff((lids < 0.5).astype(int)) == 1) <= 25
    assert 1.0 < turns[:, 0].std() < 6.0 and 0.4 < turns[:, 1].std() < 4.0 and np.abs(turns).max() < 15
    third = len(turns) // 3
    assert np.corrcoef(turns[:third, 0], turns[third : 2 * third, 0])[0, 1] < 0.8
