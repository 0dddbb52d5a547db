"""Log mel filter bank as Kaldi defines it, one frame at a time.

80 bins, frames of 50 ms every 20 ms, the first of them centred 10 ms after the beginning of the sound, which is
mirrored there. Per frame: mean removed, pre-emphasis 0.97, Povey window (Hann to the power 0.85), power spectrum of the
next power of two, triangles of equal width in mel (1127 ln(1 + f / 700)) from 20 Hz to half the rate, natural logarithm
with a floor of FLT_EPSILON. No dither, no energy. Source: Kaldi's `feature-window` and `mel-computations`, as
kaldi-native-fbank 1.22.5 computes them.
"""

import numpy as np

from engines.dhlive.voice.sound import FRAME_MS, SHIFT_MS
from shared.media.array_types import FloatArray

BANDS = 80
LOW_HZ = 20.0
PREEMPHASIS = 0.97
FLOOR = float(np.finfo(np.float32).eps)


class FilterBank:
    """The filter bank at one sample rate. Pure: a frame depends only on its own samples."""

    def __init__(self, rate: int) -> None:
        """Prepare the window and the filters.

        rate: samples per second.
        """
        self.rate = rate
        self.frame, self.shift = rate * FRAME_MS // 1000, rate * SHIFT_MS // 1000
        self._transform = 1 << (self.frame - 1).bit_length()
        turn = 2 * np.pi * np.arange(self.frame) / (self.frame - 1)
        self._window = (0.5 - 0.5 * np.cos(turn)) ** 0.85
        self._triangles = _triangles(rate, self._transform)

    def frames(self, windows: FloatArray) -> FloatArray:
        """Return the features, (n, 80) float32, of (n, frame) float32 samples in -1..1."""
        x = windows.astype(np.float64)
        x = x - x.mean(axis=1, keepdims=True)
        x = np.concatenate([x[:, :1] * (1 - PREEMPHASIS), x[:, 1:] - PREEMPHASIS * x[:, :-1]], axis=1)
        spectrum = np.fft.rfft(x * self._window, self._transform, axis=1)[:, : self._transform // 2]
        power = spectrum.real**2 + spectrum.imag**2
        return np.asarray(np.log(np.maximum(power @ self._triangles, FLOOR)), np.float32)


def _triangles(rate: int, transform: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the weight of each spectrum bin in each band, (transform / 2, 80)."""
    edges = np.linspace(_mel(LOW_HZ), _mel(rate / 2), BANDS + 2)
    bins = _mel(np.arange(transform // 2) * rate / transform)[:, None]
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - left) / (middle - left), (right - bins) / (right - middle)
    return np.maximum(np.minimum(rising, falling), 0.0)


def _mel(
    hertz: float | np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))
