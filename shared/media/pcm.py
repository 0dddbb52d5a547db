"""Converts raw PCM of any usual rate, as sent by TTS or voice agents, to the studio's 16 bit mono at 48 kHz."""

from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from shared.runtime.clock import SOUND_RATE_HZ

LOWEST, HIGHEST = 8_000, 96_000  # Hz
SampleFormat = Literal["s16", "f32"]


class PcmDecoder:
    """Decodes bytes in blocks of any size; a block may end within a sample.

    rate: sample rate, 8,000 to 96,000 Hz. layout: little-endian `s16`, or `f32` from -1 to 1. channels: 1, or 2
    interleaved.
    """

    def __init__(self, rate: int, layout: SampleFormat, channels: int = 1) -> None:
        self._rate, self._channels = rate, channels
        self._type = "<i2" if layout == "s16" else "<f4"
        self._step = np.dtype(self._type).itemsize * channels
        self._rest = b""
        self._resampler: av.AudioResampler | None = None
        if rate != SOUND_RATE_HZ:
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SOUND_RATE_HZ)

    def feed(self, data: bytes) -> NDArray[np.int16]:
        """Add bytes and return the (n,) int16 mono samples at 48 kHz that are complete now."""
        data = self._rest + data
        whole = len(data) // self._step * self._step
        self._rest = data[whole:]
        samples = np.frombuffer(data[:whole], self._type).reshape(-1, self._channels)
        if self._type == "<f4":
            # NaN becomes silence; values out of range are clipped
            samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1, 1) * np.float32(32767)
        mono = samples.mean(axis=1).round().astype(np.int16) if self._channels > 1 else samples[:, 0].astype(np.int16)
        if self._resampler is None or not len(mono):
            return mono
        frame = av.AudioFrame.from_ndarray(mono[None], format="s16", layout="mono")
        frame.sample_rate = self._rate
        return _joined(self._resampler.resample(frame))

    def flush(self) -> NDArray[np.int16]:
        """Return the samples that remain in the resampler; an incomplete last sample is discarded."""
        self._rest = b""
        return _joined(self._resampler.resample(None)) if self._resampler else np.zeros(0, np.int16)


def _joined(frames: list[av.AudioFrame]) -> NDArray[np.int16]:
    parts = [np.asarray(frame.to_ndarray().reshape(-1), np.int16) for frame in frames]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)
