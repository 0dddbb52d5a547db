"""Features of a voice: its spectrum every 10 ms, and its loudness relative to its own level and to the room."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.runtime.clock import SOUND_RATE_HZ

HOP_SAMPLES = SOUND_RATE_HZ // 100  # samples from one feature frame to the next
WINDOW_SAMPLES = 1200  # samples of one frame, 25 ms; the frame's time is the middle
FFT = 2048
BANDS = 26
LOW_HZ, HIGH_HZ = 80.0, 7600.0  # nothing outside helps to distinguish lip shapes, and a 16 kHz voice contains no more
QUIET_DB = -80.0  # relative to full scale: anything below is silence

# The reference level of a voice follows its loud syllables within a few frames and decays slowly. It is at least this
# far above the room's level, so that noise alone never counts as a voice.
FIRST_DB, ATTACK, RELEASE_DB, ABOVE_ROOM_DB, LEAST_DB = -30.0, 0.25, 0.03, 18.0, -58.0
ROOM_FIRST_DB, ROOM_RISE_DB, ROOM_FALL = -65.0, 0.03, 0.1


@cache
def _mel() -> NDArray[np.float32]:
    """Return triangular filters, (bins, BANDS), equally wide on the mel scale (Stevens, Volkmann and Newman, 1937)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (LOW_HZ, HIGH_HZ))
    edges = np.linspace(low, high, BANDS + 2)
    centres = 700 * (10 ** (edges / 2595) - 1)
    bins = np.arange(int(HIGH_HZ * FFT / SOUND_RATE_HZ) + 1) * SOUND_RATE_HZ / FFT
    rise = (bins[:, None] - centres[None, :-2]) / np.diff(centres)[None, :-1]
    fall = (centres[None, 2:] - bins[:, None]) / np.diff(centres)[None, 1:]
    return np.asarray(np.maximum(0.0, np.minimum(rise, fall)), np.float32)


_TAPER = np.hanning(WINDOW_SAMPLES).astype(np.float32)


def band_decibels(windows: NDArray[Any]) -> NDArray[np.float32]:
    """Return the level of each band, (n, BANDS) dBFS, for (n, WINDOW_SAMPLES) int16 samples."""
    sound = windows.astype(np.float32) * (_TAPER / np.float32(32768))
    spectrum = np.fft.rfft(sound, FFT, axis=1)[:, : len(_mel())]
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ _mel()
    # a full-scale sine has the power (sum of the taper / 2) squared
    decibels = 10 * np.log10(power / np.float32((WINDOW_SAMPLES / 4) ** 2) + np.float32(1e-9))
    return np.asarray(np.maximum(decibels, QUIET_DB), np.float32)


def loudness(bands: NDArray[np.float32]) -> float:
    """Return the level of all bands together in decibels."""
    return float(10 * np.log10(np.sum(10 ** (bands.astype(np.float64) / 10))))


class LoudnessLevel:
    """Running levels of the voice and of the room, usable from the first syllable on and without look-ahead.

    voice, room: decibels of full scale.
    """

    def __init__(self, voice: float = FIRST_DB, room: float = ROOM_FIRST_DB) -> None:
        self.voice, self.room = voice, room

    def add_loudness(self, loud: float) -> None:
        """Update both levels with one frame of this loudness (decibels)."""
        if loud > self.room:
            self.room += min(ROOM_RISE_DB, loud - self.room)
        else:
            self.room += ROOM_FALL * (loud - self.room)
        if loud > self.voice:
            self.voice += ATTACK * (loud - self.voice)
        else:
            self.voice -= RELEASE_DB
        self.voice = max(self.voice, min(self.room + ABOVE_ROOM_DB, 0.0), LEAST_DB)
