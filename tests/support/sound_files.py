"""Sound as files, for uploads and drivers."""

import io
import wave

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
Samples = NDArray[np.int16]


def tone(seconds: float, hertz: float = 440, rate: int = RATE) -> Samples:
    return (9000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def wav(samples: Samples, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.tobytes())
    return file.getvalue()
