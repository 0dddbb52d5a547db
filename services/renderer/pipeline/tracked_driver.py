"""What moves the face at each tick of a segment: tracked from the driver's pictures, or read from what was tracked."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engines.api import Driving
from shared.face.follower import FaceFollower
from shared.face.landmarks import POINTS, Face
from shared.runtime.arrays import State

MAX_SIDE = 640  # of the driver's picture, as in capture
NO_FACE = "There is no face to be found in {}; give a video that shows one."
JOIN = 6  # driver pictures that the tracker is shown before a segment begins

Tick = tuple[int, NDArray[np.uint8], bool]  # pts, the driver's picture, whether it is another than the last tick's


def tracked(follower: FaceFollower, ticks: Iterable[Tick]) -> Iterator[Driving]:
    """The face at each tick. Several ticks of one picture have one face."""
    found: tuple[Face, Face] | None = None
    seen = False
    for pts, rgb, new in ticks:
        if new or not seen:
            found, seen = follower.follow(rgb, pts), True
        face, neutral = found or (None, None)
        yield Driving(pts, face, neutral, rgb)


@dataclass(slots=True)
class Record:
    """The faces of a segment, kept to be drawn later or elsewhere."""

    _pts: list[int] = field(default_factory=list)
    _points: list[NDArray[np.float32]] = field(default_factory=list)
    _neutrals: list[NDArray[np.float32]] = field(default_factory=list)
    _which: list[int] = field(default_factory=list)  # of the neutrals, -1 where there is no face

    def noting(self, ticks: Iterable[Driving]) -> Iterator[Driving]:
        """The same ticks, kept as they pass."""
        for tick in ticks:
            self._note(tick)
            yield tick

    def _note(self, tick: Driving) -> None:
        self._pts.append(tick.pts)
        if tick.face is None or tick.neutral is None:
            self._which.append(-1)
            return
        if not self._neutrals or not np.array_equal(self._neutrals[-1], tick.neutral.points):
            self._neutrals.append(tick.neutral.points)
        self._which.append(len(self._neutrals) - 1)
        self._points.append(tick.face.points)

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Plain arrays: pts (n,), which (n,), points (faces, 478, 3), neutrals (m, 478, 3)."""
        none = np.zeros((0, POINTS, 3), np.float32)
        return {
            "pts": np.array(self._pts, np.int64),
            "which": np.array(self._which, np.int32),
            "points": np.stack(self._points) if self._points else none,
            "neutrals": np.stack(self._neutrals) if self._neutrals else none,
        }

    @property
    def faces(self) -> int:
        """Ticks with a face."""
        return len(self._points)


def recorded(state: State, pictures: Iterable[Tick] | None) -> Iterator[Driving]:
    """The ticks of `Record.save`, with the driver's pictures where an engine sees."""
    neutrals = [Face(np.asarray(points, np.float32)) for points in state["neutrals"]]
    faces = (Face(np.asarray(points, np.float32)) for points in state["points"])
    shown = (rgb for _, rgb, _ in pictures) if pictures is not None else None
    for pts, which in zip(state["pts"], state["which"], strict=True):
        rgb = next(shown, None) if shown is not None else None
        present = int(which) >= 0
        yield Driving(int(pts), next(faces) if present else None, neutrals[int(which)] if present else None, rgb)
