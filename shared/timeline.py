"""The driver's timeline: which of its pictures is shown at which tick."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.clock import tick_pts
from shared.media import VideoReader


@dataclass(frozen=True, slots=True)
class Timeline:
    """rate: pictures a second. ticks: how many."""

    rate: Fraction
    ticks: int


def read_timeline(path: Path, fps: Fraction | None) -> Timeline:
    """Of a driver; fps: what was asked for. Raises StudioError."""
    with VideoReader(path) as reader:
        rate = fps or reader.fps
        return Timeline(rate, round(reader.duration * float(rate)))


def pictures(
    path: Path, timeline: Timeline, start: int, stop: int, max_side: int
) -> Iterator[tuple[int, NDArray[np.uint8], bool]]:
    """(pts, picture, whether it is another than the last) of the ticks from `start` up to `stop`."""
    with VideoReader(path, max_side=max_side) as reader:
        for number, (_, rgb) in enumerate(reader):
            if number >= stop:
                return
            if number >= start:
                yield tick_pts(number, timeline.rate), rgb, True
