"""Synthetic voices for tests, in which the times of every sound are known."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.mesh.topology import LOWER_LIP_ROWS, UPPER_LIP_ROWS
from shared.face.landmarks import Face
from shared.runtime.clock import SOUND_RATE_HZ

# First three resonances in hertz of an "ah", an "ee" and a hummed "m".
SOUNDS = {"a": (750, 1150, 2500), "i": (280, 2300, 3000), "m": (250, 1100, 2200)}


def voiced(sound: str, seconds: float, loud: float = 0.3, pitch: float = 120.0) -> NDArray[np.float64]:
    """Return a sung sound: harmonics shaped by its resonances, with a soft beginning and end."""
    t = np.arange(round(seconds * SOUND_RATE_HZ)) / SOUND_RATE_HZ
    out = np.zeros(len(t))
    for n in range(1, int(4000 / pitch)):
        gain = sum(1 / (1 + ((n * pitch - f) / 100) ** 2) for f in SOUNDS[sound]) + 0.01
        out += gain / n * np.sin(2 * np.pi * n * pitch * t)
    edge = np.clip(np.minimum(t, t[-1] - t) / 0.025, 0, 1)
    return np.asarray(out / np.abs(out).max() * loud * edge * (0.25 if sound == "m" else 1.0))


def silence(seconds: float) -> NDArray[np.float64]:
    return np.zeros(round(seconds * SOUND_RATE_HZ))


def babble(syllables: int, period: float = 0.4, length: float = 0.2) -> NDArray[np.float64]:
    """Return a voice that says "ah" repeatedly, with silence in between."""
    once = np.concatenate([voiced("a", length), silence(period - length)])
    return np.tile(once, syllables)


def sound_of(parts: Sequence[NDArray[np.float64]], noise: float = 0.0005) -> NDArray[np.int16]:
    """(n,) int16 of the parts in a row, in a quiet room."""
    out = np.concatenate(parts)
    out = out + np.random.default_rng(1).normal(0, noise, len(out))
    return np.asarray(np.clip(out, -1, 1) * 32767, np.int16)


def closed(face: Face) -> Face:
    """The same face with its lips together."""
    points = face.points.copy()
    half = (points[LOWER_LIP_ROWS[0]] - points[UPPER_LIP_ROWS[0]]) / 2
    points[UPPER_LIP_ROWS] += half
    points[LOWER_LIP_ROWS] -= half
    return Face(points)
