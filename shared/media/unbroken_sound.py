"""Reads a source's sound with its gaps filled, for consumers that count samples instead of reading time stamps."""

from collections.abc import Iterator

import numpy as np

from shared.media.array_types import AudioSamples
from shared.media.intake.damage import Damage
from shared.media.reader import MediaSource, read_sound
from shared.runtime.clock import SOUND_RATE_HZ, US

SLACK_SAMPLES = SOUND_RATE_HZ // 100  # by which a time stamp may be late without being a gap: containers round them
SILENCE_SAMPLES = SOUND_RATE_HZ * 10  # most samples in one block of silence


def unbroken_sound(source: MediaSource, damage: Damage | None = None) -> Iterator[AudioSamples]:
    """Yield the sound in blocks of (n,) int16 mono at 48 kHz, from the first sample on.

    Gaps between blocks are filled with silence, so that sample n is n / 48,000 s after the first. Yields nothing for a
    file without sound.

    damage: counts the sound that could not be decoded. Raises StudioError if the source cannot be opened or becomes
    unavailable.
    """
    origin: int | None = None
    given = 0
    for pts, samples in read_sound(source, damage):
        origin = pts if origin is None else origin
        hole = (pts - origin) * SOUND_RATE_HZ // US - given
        if hole > SLACK_SAMPLES:
            for begin in range(0, hole, SILENCE_SAMPLES):
                yield np.zeros(min(SILENCE_SAMPLES, hole - begin), np.int16)
            given += hole
        yield samples
        given += len(samples)
