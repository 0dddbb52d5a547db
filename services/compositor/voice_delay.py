"""The voice given out by the program's time, as late as the frame it belongs to."""

import numpy as np
from numpy.typing import NDArray

from shared.media.voice_ring import VoiceBuffer
from shared.runtime.clock import SOUND_RATE_HZ, US

FADE_SAMPLES = SOUND_RATE_HZ * 5 // 1000  # samples over which a change of delay or gain is blended, against clicks


class VoiceDelay:
    """How much later than its own time the voice is played: what the frame takes, measured.

    It stays where it is until the measurement has left it by TOLERANCE for SETTLE measurements, so that sound does
    not wobble with every late frame.
    """

    TOLERANCE = 15_000  # us; well below what anybody notices between lips and sound
    SETTLE = 25

    def __init__(self) -> None:
        self.us = 60_000
        self._recent: list[int] = []
        self.settled = False

    def restart(self) -> None:
        """Start over for another driver: the first measurements count at once."""
        self._recent.clear()
        self.settled = False

    def set_latency(self, us: int) -> None:
        """A frame says how late it is by design, as a voice-driven one does: no need to measure."""
        self.us, self.settled = us, True
        self._recent.clear()

    def add_measurement(self, latency: int) -> None:
        """A frame was shown `latency` microseconds after it was captured."""
        self._recent.append(latency)
        if len(self._recent) < (self.SETTLE if self.settled else 5):
            return
        median = int(np.median(self._recent))
        if not self.settled or abs(median - self.us) > self.TOLERANCE:
            self.us = median
        self.settled = True
        self._recent.clear()


class VoicePlayer:
    """Gives out the voice of each program tick, later by `VoiceDelay`; delay and gain change without a click."""

    def __init__(self) -> None:
        self.buffer = VoiceBuffer()
        self.delay = VoiceDelay()
        self._last = (0, 0.0)  # delay in samples and gain of the block before
        self._leaving: VoiceBuffer | None = None  # what was being played when another voice took over

    def switch(self) -> None:
        """Switch to another driver, or interrupt: what was on its way fades out within the next block."""
        self.buffer, self._leaving = VoiceBuffer(), self._leaving or self.buffer

    def block(self, first: int, count: int, gain: float) -> NDArray[np.int16]:
        """(count,) samples to be heard from program sample number `first` on."""
        now = (self.delay.us * SOUND_RATE_HZ // US, gain)
        leaving, self._leaving = self._leaving or self.buffer, None
        samples = _at(self.buffer, now, first, count)
        if now != self._last or leaving is not self.buffer:
            ramp = np.minimum(np.arange(count, dtype=np.float32) / FADE_SAMPLES, 1)
            samples = samples * ramp + _at(leaving, self._last, first, count) * (1 - ramp)
        self._last = now
        return samples.astype(np.int16)


def _at(buffer: VoiceBuffer, how: tuple[int, float], first: int, count: int) -> NDArray[np.float32]:
    delay, gain = how
    return buffer.read(first - delay, count) * np.float32(gain)
