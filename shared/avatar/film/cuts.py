"""Detects a film's cuts: steps at which much of the image changes, while it changes little before and after."""

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.media.array_types import FloatArray, ImageArray

CELLS = 32, 32
CHANGED_LEVELS = 9.0  # difference in colour above which a cell has changed
MOST = 0.3  # share of the cells that must change at a cut
ABOVE = 2.5  # factor by which the change at a cut must exceed the changes around it
AROUND_FRAMES = 6


def cells_of(rgb: ImageArray) -> FloatArray:
    """Return the image averaged to (32, 32, 3) float32 cells, in which grain and small movements vanish."""
    return np.asarray(cv2.resize(rgb, CELLS, interpolation=cv2.INTER_AREA), np.float32)


@dataclass(frozen=True, slots=True)
class Change:
    """The change from one frame to the next. mean: levels, 0 to 255. share: share of changed cells, 0 to 1."""

    mean: float
    share: float


@dataclass(slots=True)
class ChangeMeter:
    """Measures how much each frame of a film differs from the one before. Not thread-safe; constant memory."""

    _last: FloatArray | None = field(init=False, repr=False, default=None)
    _recent: deque[float] = field(init=False, default_factory=lambda: deque(maxlen=AROUND_FRAMES))

    def step(self, rgb: ImageArray) -> tuple[Change, bool]:
        """Return the change to the next (H, W, 3) uint8 frame, and whether it looks like a cut by the frames so far."""
        cells = cells_of(rgb)
        last, self._last = self._last, cells
        if last is None:
            return Change(0.0, 0.0), False
        apart = np.abs(cells - last)
        change = Change(float(apart.mean()), float((apart.max(axis=2) > CHANGED_LEVELS).mean()))
        cut = change.share > MOST and change.mean > ABOVE * max(self._recent, default=0.0)
        self._recent.append(0.0 if cut else change.mean)
        return change, cut


def find_cuts(changes: list[Change]) -> list[int]:
    """Return the numbers of the frames that begin a new shot.

    The changes before and after are compared: a pan changes every frame, a cut only one.
    """
    mean = np.array([each.mean for each in changes])
    cuts: list[int] = []
    for number, change in enumerate(changes):
        if number == 0 or change.share <= MOST:
            continue
        before = _quiet(mean[max(1, number - AROUND_FRAMES) : number], cuts, number)
        after = mean[number + 1 : number + 1 + AROUND_FRAMES]
        if change.mean > ABOVE * before and change.mean > ABOVE * (float(np.median(after)) if len(after) else 0.0):
            cuts.append(number)
    return cuts


def _quiet(before: NDArray[np.float64], cuts: list[int], number: int) -> float:
    """The median change before a frame, without those of cuts."""
    first = number - len(before)
    kept = [value for at, value in enumerate(before, first) if at not in cuts]
    return float(np.median(kept)) if kept else 0.0
