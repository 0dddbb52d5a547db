"""Joins sound of any block size into the blocks that an AAC encoder takes."""

from collections.abc import Iterator

import numpy as np

from shared.media.array_types import AudioSamples
from shared.runtime.clock import SOUND_RATE_HZ

BLOCK_SAMPLES = 1024  # samples in an AAC frame
# Blocks whose positions differ by less than this from the expected ones are joined directly: time stamps are rounded.
SLACK_SAMPLES = SOUND_RATE_HZ // 50


class SoundBlocks:
    """Joins blocks of int16 samples into one sound that begins at sample 0. Gaps become silence, overlaps are cut.

    channels: samples are (n, channels), or (n,) for 0.
    """

    def __init__(self, channels: int = 0) -> None:
        self._waiting: AudioSamples = np.empty((0, channels) if channels else 0, np.int16)
        self._count = 0  # samples given, those waiting included

    def add(self, samples: AudioSamples, begin: int) -> Iterator[tuple[int, AudioSamples]]:
        """Add samples that begin at sample number `begin`; yield each full block as (first sample's number, block)."""
        missing = begin - self._count
        if missing < -SLACK_SAMPLES:
            samples = samples[-missing:]
        while missing > SLACK_SAMPLES:
            silence = min(missing, SOUND_RATE_HZ)
            yield from self._join(np.zeros((silence, *self._waiting.shape[1:]), np.int16))
            missing -= silence
        yield from self._join(samples)

    def last_block(self) -> tuple[int, AudioSamples] | None:
        """Return the last block as `add` yields them, which may be shorter; None if no samples are left."""
        return (self._count - len(self._waiting), self._waiting) if len(self._waiting) else None

    def _join(self, samples: AudioSamples) -> Iterator[tuple[int, AudioSamples]]:
        self._waiting = np.concatenate([self._waiting, samples])
        self._count += len(samples)
        first, whole = self._count - len(self._waiting), len(self._waiting) // BLOCK_SAMPLES * BLOCK_SAMPLES
        joined, self._waiting = self._waiting, self._waiting[whole:]
        for at in range(0, whole, BLOCK_SAMPLES):
            yield first + at, joined[at : at + BLOCK_SAMPLES]
