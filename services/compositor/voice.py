"""The voice on its way to the program: kept by its time, given out by the program's."""

import numpy as np
from numpy.typing import NDArray

from shared.clock import US
from shared.media import SOUND_RATE

SECONDS = 8  # of voice kept; a file's sound is sent up to two seconds ahead
JOIN = SOUND_RATE * 30 // 1000  # a block this close to the end of the last one follows it without a seam
FADE = SOUND_RATE * 5 // 1000  # samples over which a change of delay or gain is blended, against clicks


class VoiceBuffer:
    """A ring of mono int16 samples at 48 kHz, addressed by sample number on the channel clock."""

    def __init__(self) -> None:
        self._ring = np.zeros(SECONDS * SOUND_RATE, np.int16)
        self._end = 0  # number after the newest sample

    def clear(self) -> None:
        """Forget everything: the driver has restarted."""
        self._ring[:] = 0
        self._end = 0

    def write(self, pts: int, samples: NDArray[np.int16]) -> None:
        """Keep samples that begin at `pts` (microseconds). The oldest are overwritten when the ring is full."""
        samples = samples[-len(self._ring) :]
        at = pts * SOUND_RATE // US
        if abs(at - self._end) <= JOIN:
            at = self._end
        else:
            self._silence(at)
        self._put(at, samples)
        self._end = at + len(samples)

    def read(self, first: int, count: int) -> NDArray[np.int16]:
        """Samples [first, first + count): silence where there are none."""
        out = np.zeros(count, np.int16)
        low = max(first, self._end - len(self._ring))
        high = min(first + count, self._end)
        if low < high:
            index = np.arange(low, high) % len(self._ring)
            out[low - first : high - first] = self._ring[index]
        return out

    def _silence(self, at: int) -> None:
        """Nothing lies between the end so far and `at`."""
        if at < self._end or at - self._end > len(self._ring):
            self._ring[:] = 0
        else:
            self._put(self._end, np.zeros(at - self._end, np.int16))

    def _put(self, at: int, samples: NDArray[np.int16]) -> None:
        index = np.arange(at, at + len(samples)) % len(self._ring)
        self._ring[index] = samples


class Delay:
    """How much later than its own time the voice is played: what the picture takes, measured.

    It stays where it is until the measurement has left it by TOLERANCE for SETTLE measurements, so that sound does
    not wobble with every late picture.
    """

    TOLERANCE = 15_000  # us; well below what anybody notices between lips and sound
    SETTLE = 25

    def __init__(self) -> None:
        self.us = 60_000
        self._recent: list[int] = []
        self._settled = False

    def restart(self) -> None:
        """Another driver: measure anew, and take the first measurements at once."""
        self._recent.clear()
        self._settled = False

    def measure(self, latency: int) -> None:
        """A picture was shown `latency` microseconds after it was captured."""
        self._recent.append(latency)
        if len(self._recent) < (self.SETTLE if self._settled else 5):
            return
        median = int(np.median(self._recent))
        if not self._settled or abs(median - self.us) > self.TOLERANCE:
            self.us = median
        self._settled = True
        self._recent.clear()


class VoicePlayer:
    """Gives out the voice of each program tick, later by `Delay`, without a click when the delay or the gain changes."""

    def __init__(self) -> None:
        self.buffer = VoiceBuffer()
        self.delay = Delay()
        self._last = (0, 0.0)  # delay in samples and gain of the block before

    def block(self, first: int, count: int, gain: float) -> NDArray[np.int16]:
        """(count,) samples to be heard from program sample number `first` on."""
        now = (self.delay.us * SOUND_RATE // US, gain)
        samples = self._at(now, first, count)
        if now != self._last:
            ramp = np.minimum(np.arange(count, dtype=np.float32) / FADE, 1)
            samples = samples * ramp + self._at(self._last, first, count) * (1 - ramp)
        self._last = now
        return samples.astype(np.int16)

    def _at(self, how: tuple[int, float], first: int, count: int) -> NDArray[np.float32]:
        delay, gain = how
        return self.buffer.read(first - delay, count) * np.float32(gain)
