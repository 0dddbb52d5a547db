"""The channel's voice at the filter bank's sample rate: the sound that one video frame's coefficients are made from.

The voice arrives at 48 kHz. The original resamples a whole file via its spectrum; a stream is filtered instead. The
samples of a pair of filter bank frames are computed from the sound up to the pair's end and not beyond. They are
therefore the same however the voice is cut, and no look-ahead is added: the sound that the filter lacks at the end is
where the frame's window is nearly zero.
"""

import numpy as np
from numpy.typing import NDArray

from shared.media.array_types import FloatArray
from shared.runtime.clock import SOUND_RATE_HZ

FRAME_MS, SHIFT_MS = 50, 20
PAIR_MS = 2 * SHIFT_MS  # time per output of the audio network
BEFORE_MS = (FRAME_MS - SHIFT_MS) // 2  # by which a pair's first frame begins before the pair's own time
SPAN_MS = SHIFT_MS + FRAME_MS  # length of a pair's two frames together
AFTER_MS = SPAN_MS - BEFORE_MS  # from a pair's own time to the end of its last frame
SHIFT = 5  # delay, in outputs, with which the mini networks were trained; it covers the old network's delay of four
# Voice needed beyond a tick's own time: up to the end of the last frame of the output that comes SHIFT outputs later.
VOICE_AHEAD_US = (SHIFT * PAIR_MS + AFTER_MS) * 1000
FILTER_MS = 6  # half the filter's length
STOP_DB_BETA = 8.0  # of the filter's Kaiser window: 80 dB


class Decimator:
    """Low-pass filter and decimation from 48 kHz to a rate that divides it."""

    def __init__(self, rate: int) -> None:
        """Design the filter.

        rate: output samples per second.
        """
        self.rate, self.factor = rate, SOUND_RATE_HZ // rate
        self.half = FILTER_MS * SOUND_RATE_HZ // 1000
        at = np.arange(-self.half, self.half + self.factor)
        sinc = np.sinc(at / self.factor) / self.factor
        window = np.i0(STOP_DB_BETA * np.sqrt(np.maximum(1 - (at / self.half) ** 2, 0))) / np.i0(STOP_DB_BETA)
        taps = np.where(np.abs(at) <= self.half, sinc * window, 0.0)
        self._phases = [
            np.ascontiguousarray((taps / taps.sum())[p :: self.factor], np.float32) for p in range(self.factor)
        ]

    def lowered(self, sound: NDArray[np.int16], count: int) -> FloatArray:
        """Return decimated samples, (count,) float32 in about -1..1.

        sound: (half + count * factor,) int16 at 48 kHz, beginning `half` samples before the first output sample;
            missing samples at the end count as silence.
        """
        needed = count * self.factor + 2 * self.half
        padded = np.zeros(needed, np.float32)
        padded[: len(sound)] = sound[:needed]
        padded *= np.float32(1 / 32768)
        parts = [np.correlate(padded[p :: self.factor], taps, "valid")[:count] for p, taps in enumerate(self._phases)]
        return np.asarray(sum(parts[1:], parts[0]), np.float32)
