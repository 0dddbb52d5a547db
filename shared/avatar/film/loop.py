"""Chooses which frames of a film are played and in which order: its fit parts, joined to a loop without jumps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.avatar.film.join import Blend, JoinFinder, OwnSteps, blends_of
from shared.avatar.film.judge import Flags, runs_of
from shared.avatar.film.report import Join, Loop, LoopPart, Shot
from shared.avatar.film.track import FilmTrack
from shared.media.array_types import ImageArray

MIN_LOOP_S = 1.0  # a shorter loop looks like a tremor; then the longest part that is not excluded is played
MIN_PART_S = 0.4  # shorter fit parts are not worth two joins
MOST_LOST = 0.3  # largest share of the played frames that a closing join may skip; else the loop is played to and fro
Part = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a loop.

    order: (M,) numbers of the frames in playing order; numbers from the film's frame count on refer to `blends`.
    """

    order: NDArray[np.int32]
    blends: tuple[Blend, ...]


def choose_loop(
    track: FilmTrack,
    shots: tuple[Shot, ...],
    fps: float,
    unfit: Flags,
    excluded: Flags,
    frame: Callable[[int], ImageArray],
) -> tuple[Loop, Round]:
    """Choose the loop and return it for the report and for the plate. At least one frame must not be excluded.

    Fit parts are joined where two frames are alike. The round is closed by such a join too if that skips few frames,
    else it is played to and fro. Neither at a join nor at a turn does the face move or the image change more than in 95
    of 100 of the film's own steps from frame to frame. A cut inside a part remains. frame: returns the (H, W, 3) uint8
    RGB frame of a number.
    """
    steps = OwnSteps(track, [shot.first for shot in shots])
    least = max(2, round(MIN_PART_S * fps))
    fit = [run for run in runs_of(~(unfit | excluded)) if run[1] - run[0] >= least]
    parts, joins, closing = [_longest(~excluded)], list[Join](), None
    if sum(end - first for first, end in fit) >= MIN_LOOP_S * fps:
        chain = _Chain(JoinFinder(track, steps, fps, frame), least)
        parts, joins = chain.joined(fit)
        closing = chain.closed(parts)
        if closing is not None:
            parts[-1] = parts[-1][0], closing.last + 1
            parts[0] = closing.first, parts[0][1]
    if closing is None:
        parts, joins = _turned(parts, joins, steps)
    return _report(parts, joins, closing, steps), _round(len(track), parts, joins, closing)


def whole_loop(track: FilmTrack, shots: tuple[Shot, ...]) -> tuple[Loop, Round]:
    """Return the loop that plays the whole film to and fro, without any cross-fade frames."""
    parts = [(0, len(track))]
    return _report(parts, [], None, OwnSteps(track, [shot.first for shot in shots])), _round(
        len(track), parts, [], None
    )


@dataclass(frozen=True, slots=True)
class _Chain:
    finder: JoinFinder
    least: int  # lowest number of frames in a part

    def joined(self, fit: list[Part]) -> tuple[list[Part], list[Join]]:
        """Return the longest part with all earlier and later parts that can be joined to it, and the joins."""
        middle = max(range(len(fit)), key=lambda at: fit[at][1] - fit[at][0])
        parts, joins = [fit[middle]], []
        for later in fit[middle + 1 :]:
            join = self._between(parts[-1], later)
            if join is not None:
                parts[-1:] = [(parts[-1][0], join.last + 1), (join.first, later[1])]
                joins.append(join)
        for earlier in reversed(fit[:middle]):
            join = self._between(earlier, parts[0])
            if join is not None:
                parts[:1] = [(earlier[0], join.last + 1), (join.first, parts[0][1])]
                joins.insert(0, join)
        return parts, joins

    def _between(self, before: Part, after: Part) -> Join | None:
        """A join between two parts that skips fewer frames than the shorter part has, None if there is none."""
        shorter = min(before[1] - before[0], after[1] - after[0])
        return self.finder.find(*self._sides(before, after), shorter - self.least)

    def closed(self, parts: list[Part]) -> Join | None:
        """Return a join from the end of the last part to the beginning of the first, None if there is none."""
        played = sum(end - first for first, end in parts)
        leave, enter = self._sides(parts[-1], parts[0])
        if len(parts) == 1:  # skip at most half of the limit on each side, so that the join leads back
            half = round(MOST_LOST * played / 2) + self.finder.fade
            leave, enter = (max(leave[0], leave[1] - half), leave[1]), (enter[0], min(enter[1], enter[0] + half))
        return self.finder.find(leave, enter, round(MOST_LOST * played))

    def _sides(self, before: Part, after: Part) -> tuple[Part, Part]:
        """The frames at which `before` may be left and `after` entered so that both keep at least `least` frames."""
        return (before[0] + self.least - 1, before[1]), (after[0], after[1] - self.least + 1)


def _turned(parts: list[Part], joins: list[Join], steps: OwnSteps) -> tuple[list[Part], list[Join]]:
    """The parts, shortened so that playback reverses at calm steps; a single frame if a lone part has no calm step."""
    (first, ahead), (behind, end) = parts[0], parts[-1]
    starts = np.flatnonzero(steps.calm[first + 1 : ahead]) + first
    ends = np.flatnonzero(steps.calm[behind + 1 : end]) + behind + 2
    if not len(starts) or not len(ends):
        return ([(first, first + 1)], []) if len(parts) == 1 else _turned(parts[:1], [], steps)
    if len(parts) == 1:
        return [(int(starts[0]), int(ends[-1]))], []
    return [(int(starts[0]), ahead), *parts[1:-1], (behind, int(ends[-1]))], joins


def _report(parts: list[Part], joins: list[Join], closing: Join | None, steps: OwnSteps) -> Loop:
    seams = [*joins, *([closing] if closing else [])]
    motion, change = [join.motion for join in seams], [join.change for join in seams]
    if closing is None:
        turns = [at for at in (parts[0][0] + 1, parts[-1][1] - 1) if parts[0][0] < at < parts[-1][1]]
        motion += [float(value) for value in np.nan_to_num(steps.motion[turns])]
        change += [float(value) for value in steps.change[turns]]
    return Loop(
        parts=tuple(LoopPart(first=first, end=end) for first, end in parts),
        joins=tuple(joins),
        closing=closing,
        seam_motion=round(max(motion, default=0.0), 5),
        seam_change=round(max(change, default=0.0), 4),
        motion=round(steps.most_motion, 5),
        change=round(steps.most_change, 4),
    )


def _round(count: int, parts: list[Part], joins: list[Join], closing: Join | None) -> Round:
    order: list[int] = []
    blends: list[Blend] = []

    def fade(join: Join) -> None:
        for blend in blends_of(join.last, join.first, join.fade):
            order.append(count + len(blends))
            blends.append(blend)

    for (first, end), join in zip(parts, [*joins, closing], strict=True):
        order.extend(range(first, end))
        if join is not None:
            fade(join)
    if closing is None:
        order += order[-2:0:-1]
    return Round(np.array(order, np.int32), tuple(blends))


def _longest(fit: Flags) -> Part:
    return max(runs_of(fit), key=lambda run: run[1] - run[0])
