"""The voice on its way to the engine.

Each tick gets the voice that its face needs, late by one fixed time, and no backlog builds up.
"""

from fractions import Fraction

import numpy as np
import pytest

from engines.mesh.speech.speech_motion import Speaker
from engines.registry import load
from services.generator.voice_line import VOICE_MARGIN_US, VoiceLine
from shared.runtime.clock import SOUND_RATE_HZ, US, tick_pts
from shared.scene import Scene
from shared.wire.message import Message, WireError
from tests.support.engines.mesh_material import avatar

AHEAD = load("mesh").info.voice_ahead_us


def message(pts: int, samples: int, epoch: int = 1, **facts: object) -> Message:
    array = (np.arange(samples) % 1000 + 1).astype(np.int16)
    return Message("voice", "main", epoch, 0, 0, pts, "s16", array, {}, {"drives": True} | facts)


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_every_tick_is_one_face_late_by_one_fixed_time(rate: Fraction) -> None:
    line, speaker = VoiceLine(rate), Speaker(avatar().face, rate)
    line.on_voice(message(40 * US, 4 * SOUND_RATE_HZ))
    late = set()
    for tick in range(round(42 * rate), round(42 * rate) + 40):
        block = line.block(tick, AHEAD)
        assert (block.samples > 0).all()
        said = [s.pts for s in speaker.hear(block)]
        assert said == [line.said_at(tick, AHEAD)]
        late.add((tick_pts(tick, rate) - said[0]) // 1000)
    assert max(late) - min(late) <= 1 and min(late) >= (AHEAD + VOICE_MARGIN_US) // 1000 - 1
    assert max(late) <= (AHEAD + VOICE_MARGIN_US) / 1000 + 1000 / rate


def test_a_stall_is_not_made_up_for() -> None:
    line = VoiceLine(Fraction(25))
    line.on_voice(message(40 * US, 4 * SOUND_RATE_HZ))
    one, late, after = (line.block(tick, AHEAD) for tick in (1050, 1100, 1101))
    assert late.pts == line.said_at(1100, AHEAD) and late.pts - one.pts == 2 * US
    assert len(late.samples) < (AHEAD + 1000) * SOUND_RATE_HZ // US
    assert after.pts == pytest.approx(late.pts + len(late.samples) * US // SOUND_RATE_HZ, abs=1)


def test_where_there_is_no_voice_there_is_silence() -> None:
    line = VoiceLine(Fraction(25))
    assert not line.block(1000, AHEAD).samples.any()
    line.on_voice(message(40 * US, SOUND_RATE_HZ))
    assert line.on_voice(message(41 * US, 48, epoch=2)), "a new epoch is reported"
    assert not line.block(1010, AHEAD).samples.any(), "an interrupted voice is still there"


def test_who_drives() -> None:
    line = VoiceLine(Fraction(25))
    line.on_scene(Scene(driver="file:speech.wav"))
    assert not line.drives
    line.on_voice(message(0, 480))
    assert line.drives
    line.on_driving()
    assert not line.drives, "a face on video has taken over"
    for word, voice in (("speech", True), ("microphone", True), ("browser", False), ("sample", False)):
        line.on_scene(Scene(driver=word))
        assert line.drives is voice
    with pytest.raises(WireError):
        line.on_voice(message(0, 480, drives="yes"))
