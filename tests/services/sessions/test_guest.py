"""Sound of a tick on its way into a room: with the speech that is known ahead, and silent after an interrupt."""

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.sessions.guest import ReadySound, RoomGuest
from services.sessions.heard import HeardSpeech
from services.sessions.speech_line import SpeechLine
from shared.config.settings import Settings
from shared.session_spec import SessionSpec
from shared.wire.program import ProgramSound
from tests.support.running.driven_loop import run_driven

SPEC = SessionSpec(id="abcdefgh1234", avatar="sample", engine="mesh", ahead_us=0, width=128, height=192, label=True)


class NotedMedia:
    """Records what is passed to the room."""

    def __init__(self) -> None:
        self.sounds: list[tuple[NDArray[np.int16], int]] = []
        self.sound_leaves = 0, 0.0

    async def feed(self, sound: ProgramSound, ahead: NDArray[np.int16] = np.zeros(0, np.int16)) -> None:
        self.sounds.append((sound.samples, len(ahead)))
        self.sound_leaves = sound.tick, asyncio.get_running_loop().time()


async def fed(cleared: bool) -> tuple[NDArray[np.int16], int]:
    """Return the sound of a tick and the number of samples known ahead, as the room gets them."""
    line, media = SpeechLine(0), NotedMedia()
    guest = RoomGuest(SPEC, Settings(), line)
    link: Any = SimpleNamespace(heard=HeardSpeech(lambda: None, lambda seconds, interrupted: None))
    line.add(line.begin(), np.full(4800, 7, np.int16))
    said = line.take(1920, 0)
    if cleared:
        line.clear()
    await guest._feed_sound(ReadySound(said, ProgramSound(1, 40_000, said.samples)), media, link)  # type: ignore[arg-type]
    return media.sounds[0]


def test_known_speech_goes_with_its_tick() -> None:
    samples, ahead = run_driven(fed(cleared=False))
    assert samples.all() and ahead == 4800 - 1920


def test_after_an_interrupt_a_tick_is_silent_and_knows_nothing_ahead() -> None:
    samples, ahead = run_driven(fed(cleared=True))
    assert not samples.any() and ahead == 0
