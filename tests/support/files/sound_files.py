"""Sound as files, for uploads and drivers."""

import io
import wave

import numpy as np

from shared.media.array_types import AudioSamples

SOUND_RATE_HZ = 48_000


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
