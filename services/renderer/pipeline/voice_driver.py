"""A voice as one file of samples, so that any segment of it is at hand without decoding what comes before."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.api import RoiFrame
from services.renderer.pipeline.engine_run import Run
from shared.jobs.manifest import Plan
from shared.media.reader import SOUND_RATE, read_sound
from shared.runtime.clock import sound_samples


def write_samples(driver: Path, path: Path) -> int:
    """Write the driver's sound as raw little-endian int16 mono at 48 kHz, gaps as silence; returns how many samples.
    Raises StudioError when it breaks off."""
    written = 0
    origin: int | None = None
    with path.open("wb") as file:
        for pts, samples in read_sound(driver):
            origin = pts if origin is None else origin
            gap = (pts - origin) * SOUND_RATE // 1_000_000 - written
            if gap > SOUND_RATE // 100:
                file.write(bytes(2 * gap))
                written += gap
            file.write(samples.astype("<i2").tobytes())
            written += len(samples)
    return written


def read_samples(path: Path, start: int, stop: int | None) -> NDArray[np.int16]:
    """(n,) int16 of the samples from `start` up to `stop`, or to the end."""
    count = -1 if stop is None else max(0, stop - start)
    return np.fromfile(path, "<i2", count=count, offset=2 * start).astype(np.int16)


def spoken(run: Run, plan: Plan, samples: Path, index: int) -> Iterator[RoiFrame]:
    """The faces that the sound of a segment completes; the last one has all that is left. They come out `voice_ahead`
    late, so a segment has some of the one before, and all together have each once."""
    last = index + 1 == plan.segments
    first = sound_samples(plan.span(index).start, plan.fps, SOUND_RATE)[0]
    past = None if last else sound_samples(plan.span(index).stop, plan.fps, SOUND_RATE)[0]
    yield from run.voice(read_samples(samples, first, past), first)
    if last:
        yield from run.session.flush()
