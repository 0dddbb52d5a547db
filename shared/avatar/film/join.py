"""Finds joins: places where one part of a film can be followed by another, directly or by a cross-fade."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shared.avatar.film.cuts import cells_of
from shared.avatar.film.report import Join
from shared.avatar.film.track import FilmTrack
from shared.media.array_types import FloatArray, ImageArray

FADE_S = 0.4
# Largest differences for a cross-fade, as a share of the face's size and in levels of the coarse image: with larger
# ones both frames would be visible at once.
GHOST, GHOST_LEVELS = 0.02, 5.0
CALM_PERCENTILE = 95
CANDIDATES, TRIES = 240, 12  # frames considered on each side; number of pairs whose images are compared
LOSS_WEIGHT = 3.0  # weight of the skipped frames relative to the differences, each as a share of its limit


@dataclass(frozen=True, slots=True)
class Blend:
    """A frame of a cross-fade: film frame `after` with `weight`, 0 to 1, over film frame `before`."""

    before: int
    after: int
    weight: float


class OwnSteps:
    """The steps from each of a film's frames to the next: motion of the face and change of the image.

    motion: (N,) the face's motion as a fraction of its size, NaN without a face. change: (N,) the image's mean change
        in levels. calm: (N,) whether the step to the frame crosses no cut and exceeds neither 95th percentile,
        most_motion and most_change.
    """

    def __init__(self, track: FilmTrack, shot_starts: list[int]) -> None:
        self.motion = face_motion(track)
        self.change = np.array([each.mean for each in track.changes])
        within = np.ones(len(track), np.bool_)
        within[[0, *shot_starts]] = False
        known = self.motion[within & np.isfinite(self.motion)]
        self.most_motion = float(np.percentile(known, CALM_PERCENTILE)) if len(known) else 0.0
        self.most_change = float(np.percentile(self.change[within], CALM_PERCENTILE)) if within.any() else 0.0
        self.calm = within & (np.nan_to_num(self.motion) <= self.most_motion) & (self.change <= self.most_change)


def face_motion(track: FilmTrack) -> NDArray[np.float64]:
    """Return (N,) the mean motion of the face's points since the frame before, as a share of the face's size.

    NaN if either frame has no face.
    """
    moved = np.full(len(track), np.nan)
    for number in range(1, len(track)):
        before, face = track.faces[number - 1], track.faces[number]
        if before is not None and face is not None:
            moved[number] = np.linalg.norm(face.stable - before.stable, axis=1).mean() / face.size
    return moved


@dataclass(slots=True)
class JoinFinder:
    """Finds joins in one film. frame: returns the frame of a number, (H, W, 3) uint8 RGB. Not thread-safe."""

    track: FilmTrack
    steps: OwnSteps
    fps: float
    frame: Callable[[int], ImageArray]

    @property
    def fade(self) -> int:
        """Number of frames of a cross-fade."""
        return max(2, round(FADE_S * self.fps))

    def find(self, leave: tuple[int, int], enter: tuple[int, int], longest_loss: int) -> Join | None:
        """Return a join that skips few frames, without a cross-fade if possible; None if there is none.

        leave: the frames (first, end), all with a face, among which the join leaves a part; a fade continues with
        the frames after its last one. enter: the frames (first, end) among which the join enters the next part.
        longest_loss: most frames that may be skipped. No step of the join moves the face or changes the image by more
        than the 95th percentile of the film's own steps.
        """
        for fade in (0, self.fade):
            for last, first in self._pairs(leave, enter, fade, longest_loss):
                join = self._tried(last, first, fade)
                if join is not None:
                    return join
        return None

    def _pairs(
        self, leave: tuple[int, int], enter: tuple[int, int], fade: int, longest_loss: int
    ) -> list[tuple[int, int]]:
        """The (last, first) frames of the most promising joins, best first."""
        leave, enter = (leave[0], leave[1] - fade), (enter[0] + fade, enter[1])
        if leave[0] >= leave[1] or enter[0] >= enter[1]:
            return []
        last, first = _spread(max(leave[0], leave[1] - 1 - longest_loss), leave[1] - 1), _spread(
            enter[0], min(enter[1] - 1, enter[0] + longest_loss)
        )  # fmt: skip
        before, after = last + (fade + 1) // 2, first - fade // 2
        apart = self._apart(before, after)
        looks = np.array(self.track.looks, np.int16)
        unlike = np.stack([np.abs(looks[after] - looks[number]).mean(axis=(1, 2)) for number in before])
        loss = (leave[1] - 1 - last)[:, None] + (first - enter[0])[None]
        most = GHOST if fade else self.steps.most_motion
        levels = GHOST_LEVELS if fade else 1.5 * self.steps.most_change
        good = (apart <= most) & (unlike <= levels) & (loss <= longest_loss) & (first[None] != last[:, None] + 1)
        cost = LOSS_WEIGHT * loss / max(longest_loss, 1) + apart / max(most, 1e-6) + unlike / max(levels, 1e-6)
        rows, columns = np.nonzero(good)
        best = np.argsort(cost[rows, columns], kind="stable")[:TRIES]
        return [(int(last[rows[at]]), int(first[columns[at]])) for at in best]

    def _apart(self, before: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.float64]:
        """The (B, A) mean distances of the face's points between frames of `before` and `after`, by the face's size."""
        there = np.stack([self._points(number) for number in after.tolist()])
        rows = []
        for number in before.tolist():
            face = self.track.faces[number]
            size = face.size if face is not None else 1.0
            rows.append(np.linalg.norm(there - self._points(number), axis=2).mean(axis=1) / size)
        return np.stack(rows)

    def _points(self, number: int) -> NDArray[np.float32]:
        face = self.track.faces[number]
        assert face is not None
        return face.stable

    def _tried(self, last: int, first: int, fade: int) -> Join | None:
        """The join between two frames, if all of its steps, measured in the real images, are calm; else None."""
        between = blends_of(last, first, fade)
        ends = [Blend(last, last, 0.0), *between, Blend(first, first, 0.0)]
        points = [(1 - b.weight) * self._points(b.before) + b.weight * self._points(b.after) for b in ends]
        face = self.track.faces[last]
        size = face.size if face is not None else 1.0
        motion = max(float(np.linalg.norm(q - p, axis=1).mean()) / size for p, q in pairwise(points))
        if motion > self.steps.most_motion:
            return None
        cells = [(1 - b.weight) * self._cells(b.before) + b.weight * self._cells(b.after) for b in ends]
        change = max(float(np.abs(q - p).mean()) for p, q in pairwise(cells))
        if change > self.steps.most_change:
            return None
        return Join(last=last, first=first, fade=fade, motion=round(motion, 5), change=round(change, 4))

    def _cells(self, number: int) -> FloatArray:
        return cells_of(self.frame(number))


def blends_of(last: int, first: int, fade: int) -> list[Blend]:
    """Return the frames of a cross-fade, during which both parts continue to play."""
    return [Blend(last + step, first - fade - 1 + step, step / (fade + 1)) for step in range(1, fade + 1)]


def _spread(first: int, last: int) -> NDArray[np.int64]:
    """At most CANDIDATES whole numbers evenly spread from first to last, including both."""
    count = min(CANDIDATES, max(1, last - first + 1))
    return np.unique(np.linspace(first, max(first, last), count).round().astype(np.int64))
