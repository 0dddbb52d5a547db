"""Visemes, the mouth shapes of speech sounds, and a small network that recognises them in a voice.

The network is trained by `python -m training.visemes` on synthesised speech; `visemes.json` beside its weights records
its accuracy.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.mesh.speech.mel_features import BANDS

# Groups of sounds that look alike, for example: p b m, f v, u w, o, a, e schwa, i j, s z, sh ch, t d n l th, k g h, r.
VISEMES = ("silence", "pbm", "fv", "u", "o", "a", "e", "i", "s", "sh", "t", "k", "r")
BEFORE, AFTER = 12, 5  # feature frames around the one that is classified
INPUTS = (BEFORE + 1 + AFTER) * BANDS + 2
WEIGHTS = Path(__file__).with_name("visemes.npz")


def inputs(bands: NDArray[np.float32], voice: float, room: float) -> NDArray[np.float32]:
    """Return the network's input, (INPUTS,).

    bands: (BEFORE + 1 + AFTER, BANDS) decibels; they become relative to the voice's own level. voice, room: levels in
        decibels; the input also contains the voice's level relative to the room and to full scale.
    """
    relative = np.clip((bands - np.float32(voice)) / np.float32(20), -3.0, 1.0) + np.float32(1.5)
    levels = np.array([(voice - room) / 40 - 0.5, voice / 40 + 0.75], np.float32)
    return np.concatenate([relative.reshape(-1).astype(np.float32), levels])


class VisemeNetwork:
    """Network of fully connected layers; each is (inputs, outputs) weights and (outputs,) biases, float32."""

    def __init__(self, layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> None:
        self.layers = layers

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> "VisemeNetwork":
        """Load a network that `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            count = len(file.files) // 2
            return cls([(file[f"w{i}"].astype(np.float32), file[f"b{i}"].astype(np.float32)) for i in range(count)])

    def save(self, path: Path = WEIGHTS) -> None:
        """Save in half precision: the rounding is far below the network's uncertainty."""
        arrays = {
            f"{name}{i}": a.astype(np.float16)
            for i, pair in enumerate(self.layers)
            for name, a in zip("wb", pair, strict=True)
        }
        np.savez(path, allow_pickle=False, **arrays)

    def probabilities(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of the visemes, (..., 13), for inputs (..., INPUTS)."""
        value = seen
        for weights, biases in self.layers[:-1]:
            value = np.maximum(value @ weights + biases, 0)
        weights, biases = self.layers[-1]
        score = value @ weights + biases
        score = np.exp(score - score.max(axis=-1, keepdims=True))
        return np.asarray(score / score.sum(axis=-1, keepdims=True), np.float32)
