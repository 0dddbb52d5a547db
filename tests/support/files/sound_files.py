"""Sound as files, for uploads and drivers."""

import io
import wave
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from shared.media.array_types import AudioSamples
from shared.runtime.clock import SOUND_RATE_HZ


def tone(seconds: float, hertz: float = 440, rate: int = SOUND_RATE_HZ) -> AudioSamples:
    wave = 9000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.asarray(wave, np.int16)


def wav(samples: AudioSamples, rate: int = SOUND_RATE_HZ, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.tobytes())
    return file.getvalue()


def write_holed_sound(path: Path, parts: Iterable[tuple[float, AudioSamples]]) -> Path:
    """Write a Matroska file of 16-bit sound at 48 kHz, each part at its time in seconds and nothing between them."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=SOUND_RATE_HZ, layout="mono")
        for at, samples in parts:
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate = SOUND_RATE_HZ
            frame.pts, frame.time_base = round(at * SOUND_RATE_HZ), Fraction(1, SOUND_RATE_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def silent_spans(samples: NDArray[np.generic], rate: int = SOUND_RATE_HZ) -> list[tuple[float, float]]:
    """Return (begin, end) of each silent span of a hundredth of a second or more, in seconds, to the hundredth."""
    step = rate // 100
    blocks = np.abs(samples[: len(samples) // step * step].astype(np.float64)).reshape(-1, step).max(axis=1, initial=0)
    edges = np.diff(np.concatenate([[0], blocks < 0.02 * blocks.max(), [0]]).astype(np.int8))
    return [
        (begin / 100, end / 100)
        for begin, end in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True)
    ]
