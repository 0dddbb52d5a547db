"""Synthetic music for tests: instruments on one scale, the same every time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shared.runtime.clock import SOUND_RATE_HZ

Sound = NDArray[np.float64]
CHORDS = ((48, 55, 60, 64), (45, 52, 57, 60), (41, 53, 57, 60), (43, 50, 55, 59))  # MIDI notes
TUNE = (60, 64, 67, 62, 69, 64, 72, 67)


def _note(midi: int, seconds: float, falloff: float, partials: int) -> Sound:
    """A tone of harmonics, each weaker by its number to the power of `falloff`."""
    t = np.arange(round(seconds * SOUND_RATE_HZ)) / SOUND_RATE_HZ
    pitch = 440 * 2 ** ((midi - 69) / 12)
    waves = [np.sin(2 * np.pi * n * pitch * t) / n**falloff for n in range(1, partials) if n * pitch < 9000]
    return np.asarray(np.sum(waves, axis=0))


def _shape(seconds: float, attack: float, decay: float, release: float) -> Sound:
    t = np.arange(round(seconds * SOUND_RATE_HZ)) / SOUND_RATE_HZ
    return np.asarray(np.minimum(t / attack, 1) * np.exp(-t / decay) * np.clip((seconds - t) / release, 0, 1))


def _add(to: Sound, sound: Sound, at: float) -> None:
    first = round(at * SOUND_RATE_HZ)
    to[first : first + len(sound)] += sound[: max(0, len(to) - first)]


def _pad(out: Sound, seconds: float) -> None:
    for bar in range(int(seconds / 2) + 1):
        for midi in CHORDS[bar % 4]:
            _add(out, _note(midi, 2.5, 1.2, 20) * _shape(2.5, 0.5, 9.0, 0.5), 2.0 * bar)


def _piano(out: Sound, seconds: float) -> None:
    for n in range(int(seconds / 0.3)):
        _add(out, _note(TUNE[n % 8] - 12 * (n % 3 == 0), 1.2, 1.6, 12) * _shape(1.2, 0.004, 0.35, 0.05), 0.3 * n)


def _lead(out: Sound, seconds: float) -> None:
    for n in range(int(seconds / 0.4)):
        _add(out, _note(TUNE[n % 8], 0.4, 1.0, 25) * _shape(0.4, 0.015, 9.0, 0.03), 0.4 * n)


def _drums(out: Sound, seconds: float) -> None:
    chance = np.random.default_rng(2)
    t = np.arange(SOUND_RATE_HZ // 4) / SOUND_RATE_HZ
    kick = 2 * np.sin(2 * np.pi * (50 * t + 2.4 * (1 - np.exp(-t / 0.04)))) * np.exp(-t / 0.12)
    for n in range(int(seconds / 0.25)):
        _add(out, np.diff(chance.normal(0, 0.3, len(t)), prepend=0) * np.exp(-t / 0.025), 0.25 * n)
        if n % 4 == 0:
            _add(out, kick, 0.25 * n)
        if n % 4 == 2:
            snare = chance.normal(0, 0.6, len(t)) * np.exp(-t / 0.06)
            _add(out, snare + 0.5 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.08), 0.25 * n)


INSTRUMENTS: dict[str, Callable[[Sound, float], None]] = {"pad": _pad, "piano": _piano, "lead": _lead, "drums": _drums}


def music(kind: str, seconds: float, loud: float = 0.3) -> Sound:
    """Return so many seconds of an instrument, or of a `band` of all of them, with the peak `loud`."""
    parts = []
    for name in INSTRUMENTS if kind == "band" else (kind,):
        out = np.zeros(round(seconds * SOUND_RATE_HZ))
        INSTRUMENTS[name](out, seconds)
        parts.append(out / np.abs(out).max())
    whole = np.sum(parts, axis=0)
    return np.asarray(whole / np.abs(whole).max() * loud)
