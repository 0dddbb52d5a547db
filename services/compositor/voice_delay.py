"""Playback of the voice on the program clock, delayed by the latency of the frames that it belongs to."""

import numpy as np
from numpy.typing import NDArray

from shared.media.voice_ring import VoiceBuffer
from shared.runtime.clock import SOUND_RATE_HZ, US

FADE_SAMPLES = SOUND_RATE_HZ * 5 // 1000  # samples over which a change of delay or gain is blended, against clicks


class VoiceDelay:
    """Delay of the voice against its own pts, in microseconds: the measured latency of the frames.

    It changes only if the median of SETTLE measurements differs from it by more than TOLERANCE, so that single late
    frames do not make the sound waver.
    """

    TOLERANCE = 15_000  # us; well below the smallest noticeable offset between lips and sound
    SETTLE = 25

    def __init__(self) -> None:
        self.us = 60_000
        self._recent: list[int] = []
        self.settled = False

    def restart(self) -> None:
        """Start over for another driver: the median of the first five measurements is applied immediately."""
        self._recent.clear()
        self.settled = False

    def set_latency(self, us: int) -> None:
        """Set the latency that a frame states itself, as a voice-driven one does, so that none is measured."""
        self.us, self.settled = us, True
        self._recent.clear()

    def add_measurement(self, latency: int) -> None:
        """Add the time, in microseconds, from the capture of a frame to the tick that shows it."""
        self._recent.append(latency)
        if len(self._recent) < (self.SETTLE if self.settled else 5):
            return
        median = int(np.median(self._recent))
        if not self.settled or abs(median - self.us) > self.TOLERANCE:
            self.us = median
        self.settled = True
        self._recent.clear()


class VoicePlayer:
    """Plays the voice at program ticks, delayed by `VoiceDelay`; changes of delay and gain make no click."""

    def __init__(self) -> None:
        self.buffer = VoiceBuffer()
        self.delay = VoiceDelay()
        self._last = (0, 0.0)  # delay in samples and gain of the block before
        self._leaving: VoiceBuffer | None = None  # the previous voice, which fades out in the next block

    def switch(self) -> None:
        """Start with an empty buffer, for another driver or an interrupt; the old voice fades out in the next block."""
        self.buffer, self._leaving = VoiceBuffer(), self._leaving or self.buffer

    def block(self, first: int, count: int, gain: float) -> NDArray[np.int16]:
        """Return (count,) int16 samples to play from program sample number `first` on. gain: 0 to 1."""
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
