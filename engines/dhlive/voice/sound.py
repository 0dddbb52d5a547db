"""The channel's voice at the filter bank's rate: what one video frame's coefficients are made from.

The voice comes at 48 kHz. The original resamples a whole file by its spectrum; a stream is filtered. Of each pair of
filter bank frames the samples are computed from the sound up to the pair's own end and not beyond, so that they are the
same however the voice is cut, and no look-ahead is added: what the filter lacks there lies where the frame's window is
nearly zero.
"""

import numpy as np
from numpy.typing import NDArray

from shared.media.array_types import FloatArray
from shared.runtime.clock import SOUND_RATE_HZ

FRAME_MS, SHIFT_MS = 50, 20
PAIR_MS = 2 * SHIFT_MS  # one output of the audio network
BEFORE_MS = (FRAME_MS - SHIFT_MS) // 2  # of a pair's first frame before the pair's own time
SPAN_MS = SHIFT_MS + FRAME_MS  # of a pair's two frames together
AFTER_MS = SPAN_MS - BEFORE_MS  # from a pair's own time to the end of its last frame
SHIFT = 5  # outputs by which the mini networks were trained to be late; the old one's four are within
# Of voice after a tick's own time: the output five later, and its frames to their end.
VOICE_AHEAD_US = (SHIFT * PAIR_MS + AFTER_MS) * 1000
FILTER_MS = 6  # half the filter's length
STOP_DB_BETA = 8.0  # of the filter's Kaiser window: 80 dB


class Decimator:
    """48 kHz down to a rate that divides it."""

    def __init__(self, rate: int) -> None:
        """rate: samples a second that come out."""
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
        """(count,) float32 within about -1..1.

        sound: (half + count * factor,) int16 at 48 kHz, beginning `half` before the first sample wanted; silence is
        taken to follow.
        """
        needed = count * self.factor + 2 * self.half
        padded = np.zeros(needed, np.float32)
        padded[: len(sound)] = sound[:needed]
        padded *= np.float32(1 / 32768)
        parts = [np.correlate(padded[p :: self.factor], taps, "valid")[:count] for p, taps in enumerate(self._phases)]
        return np.asarray(sum(parts[1:], parts[0]), np.float32)
