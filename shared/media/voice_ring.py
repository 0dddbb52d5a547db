"""Ring buffer of voice, written by pts and read by sample number."""

import numpy as np
from numpy.typing import NDArray

from shared.runtime.clock import SOUND_RATE_HZ, US

RING_S = 8  # seconds of voice that are kept; a file's sound is sent up to two seconds ahead
JOIN_SAMPLES = SOUND_RATE_HZ * 30 // 1000  # a block that begins this close to the last one's end is joined directly


class VoiceBuffer:
    """A ring of mono int16 samples at 48 kHz, addressed by sample number on the channel clock."""

    def __init__(self) -> None:
        self._ring = np.zeros(RING_S * SOUND_RATE_HZ, np.int16)
        self._end = 0  # number of the newest sample plus one

    def clear(self) -> None:
        """Discard all samples, after a restart of the driver."""
        self._ring[:] = 0
        self._end = 0

    def write(self, pts: int, samples: NDArray[np.int16]) -> None:
        """Keep samples that begin at `pts` (microseconds). The oldest are overwritten when the ring is full."""
        samples = samples[-len(self._ring) :]
        at = pts * SOUND_RATE_HZ // US
        if abs(at - self._end) <= JOIN_SAMPLES:
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
        """Fill the ring with silence from its current end up to `at`."""
        if at < self._end or at - self._end > len(self._ring):
            self._ring[:] = 0
        else:
            self._put(self._end, np.zeros(at - self._end, np.int16))

    def _put(self, at: int, samples: NDArray[np.int16]) -> None:
        index = np.arange(at, at + len(samples)) % len(self._ring)
        self._ring[index] = samples


def stretched(samples: NDArray[np.int16], length: int) -> NDArray[np.int16]:
    """Resample sound to `length` samples. The first and last sample stay, so that adjacent blocks still join."""
    if length == len(samples) or len(samples) < 2:
        return samples
    at = np.linspace(0, len(samples) - 1, length)
    return np.interp(at, np.arange(len(samples)), samples).round().astype(np.int16)
