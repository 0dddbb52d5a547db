"""The engine as a channel uses it: when its frames come, interrupts, and speech that is longer than the film."""

from collections import defaultdict
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.api import RoiFrame, SessionContext, VoiceBlock  # noqa: E402
from engines.dhlive.options import DhliveOptions  # noqa: E402
from engines.dhlive.session import DhliveSession  # noqa: E402
from engines.dhlive.voice.sound import VOICE_AHEAD_US  # noqa: E402
from shared.runtime.clock import SOUND_RATE_HZ, US  # noqa: E402
from tests.support.engines.dhlive_material import BODY_FRAMES, StandInEngine, filmed  # noqa: E402
from tests.support.files.voice_material import babble, sound_of  # noqa: E402

pytestmark = pytest.mark.apart

BUDGET_US = 100_000  # from the end of the look-ahead to the first voiced frame
TICK_US = 40_000
ROUNDING = 1e-5  # grey levels of a mean: a few pixels differ by one


@cache
def voice() -> NDArray[np.int16]:
    """Return a voice over twice as long as the film, with a period of syllables that never matches the film's."""
    return sound_of([babble(5, period=0.39)])


def opened(*, draws: bool = True, plate: int | None = None) -> DhliveSession:
    shown = None if plate is None else (lambda pts: plate)
    session = StandInEngine().open(filmed(), SessionContext(plate_at=shown, options=DhliveOptions()))
    session.draws = draws
    return session


@pytest.mark.parametrize("block_ms", [5, 20, 40])
@pytest.mark.parametrize("start", [0, 1, 39_999, 3 * US + 17_000])
def test_the_first_voiced_frame_comes_within_the_look_ahead_and_a_tenth_of_a_second(block_ms: int, start: int) -> None:
    """Each block arrives when its last sample has been spoken, by the voice's own clock."""
    session, size = opened(draws=False), block_ms * SOUND_RATE_HZ // 1000
    for at in range(0, len(voice()), size):
        block = voice()[at : at + size]
        now = start + (at + len(block)) * US // SOUND_RATE_HZ
        frames = session.hear(VoiceBlock(start + at * US // SOUND_RATE_HZ, block))
        if frames:
            assert start <= frames[0].pts < start + TICK_US
            assert now - start <= VOICE_AHEAD_US + BUDGET_US
            return
    raise AssertionError("no frame came")


def test_an_interrupted_mouth_closes_and_nothing_of_the_look_ahead_is_shown() -> None:
    """From the frame after the interrupt the mouth only closes, and what had been heard ahead is never spoken."""
    session, quiet = opened(plate=5), opened(plate=5)
    rest = quiet.idle(0)[0].pixels.astype(np.int16)
    spoken = session.hear(VoiceBlock(0, voice()[: SOUND_RATE_HZ * 2 // 5]))
    assert spoken and np.abs(spoken[-1].pixels - rest).max() > 5, "it was speaking"
    session.reset()
    assert session.flush() == []
    apart = [float(np.abs(session.idle(pts)[0].pixels - rest).mean()) for pts in range(0, 8 * TICK_US, TICK_US)]
    assert all(later <= earlier + ROUNDING for earlier, later in pairwise(apart)) and apart[-1] == 0, apart
    later = VoiceBlock(20 * US, voice()[: SOUND_RATE_HZ * 2 // 5])
    again, fresh = session.hear(later), quiet.hear(later)
    assert [frame.pts for frame in again] == [frame.pts for frame in fresh]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(again, fresh, strict=True))


def test_speech_longer_than_the_film_does_not_repeat_its_lips() -> None:
    """The film repeats and the mouth does not: a plate frame has another mouth each time that it is shown."""
    session = opened()
    frames = session.hear(VoiceBlock(0, voice())) + session.flush()
    assert len(frames) > 2 * BODY_FRAMES
    shown = defaultdict[int, list[RoiFrame]](list)
    for frame in frames:
        assert frame.plate is not None
        shown[frame.plate].append(frame)
    pairs = [(a, b) for each in shown.values() for a, b in pairwise(each)]
    assert len(pairs) > BODY_FRAMES
    same = sum(np.array_equal(a.pixels, b.pixels) for a, b in pairs)
    assert same < len(pairs) / 4, "between two syllables a mouth is as it was before"


def test_frames_of_a_voice_that_comes_late_and_all_at_once_belong_to_their_own_time() -> None:
    """After a stall of a second all due frames come together, each with the time and plate frame of its own tick."""
    steady, stalled = opened(draws=False), opened(draws=False)
    size = SOUND_RATE_HZ // 25
    want = [
        frame
        for at in range(0, len(voice()), size)
        for frame in steady.hear(VoiceBlock(at * US // SOUND_RATE_HZ, voice()[at : at + size]))
    ]
    late = stalled.hear(VoiceBlock(0, voice()[:SOUND_RATE_HZ]))
    late += stalled.hear(VoiceBlock(US, voice()[SOUND_RATE_HZ:]))
    assert [(frame.pts, frame.plate) for frame in late] == [(frame.pts, frame.plate) for frame in want]
