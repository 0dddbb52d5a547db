"""A source's sound without its holes, for what counts samples instead of reading time stamps."""

from collections.abc import Iterator

import numpy as np

from shared.media.array_types import AudioSamples
from shared.media.intake.damage import Damage
from shared.media.reader import MediaSource, read_sound
from shared.runtime.clock import SOUND_RATE_HZ, US

SLACK_SAMPLES = SOUND_RATE_HZ // 100  # by which time stamps may be late without a hole: containers round them
SILENCE_SAMPLES = SOUND_RATE_HZ * 10  # at most in a block


def unbroken_sound(source: MediaSource, damage: Damage | None = None) -> Iterator[AudioSamples]:
    """(n,) int16 mono at 48 kHz of each block of sound, from the first on.

    What is missing between two is silence, so that sample n lies n / 48,000 s after the first one. Nothing for a file
    without sound.

    damage: what could not be decoded is counted there. Raises StudioError when the source cannot be opened or breaks
    off.
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
