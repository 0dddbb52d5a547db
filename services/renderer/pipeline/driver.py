"""Motion and voice of a segment, tick by tick: tracked from video, or read from a record, a template or sound."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.api import Driving, MotionTemplate, RoiFrame
from services.renderer.pipeline.engine_run import EngineRun
from shared.face.follower import FaceFollower
from shared.face.landmarks import POINTS, Face
from shared.jobs.manifest import Plan
from shared.media.unbroken_sound import unbroken_sound
from shared.runtime.arrays import StateMapping
from shared.runtime.clock import SOUND_RATE_HZ, sound_samples, tick_pts

NO_FACE = "No face was found in {}; give a video that shows one."
WARM_UP_FRAMES = 6  # driver frames before a segment with which the tracker warms up

TrackedTick = tuple[int, NDArray[np.uint8], bool]  # pts, the driver's frame, whether it differs from the last tick's


def tracked(follower: FaceFollower, ticks: Iterable[TrackedTick]) -> Iterator[Driving]:
    """Yield the tracked face of each tick. Ticks that show the same driver frame have the same face."""
    found: tuple[Face, Face] | None = None
    seen = False
    for pts, rgb, new in ticks:
        if new or not seen:
            found, seen = follower.follow(rgb, pts), True
        face, neutral = found or (None, None)
        yield Driving(pts, face, neutral, rgb)


@dataclass(slots=True)
class FaceRecord:
    """The tracked faces of a segment, recorded to be drawn later or on another machine."""

    _pts: list[int] = field(default_factory=list)
    _points: list[NDArray[np.float32]] = field(default_factory=list)
    _neutrals: list[NDArray[np.float32]] = field(default_factory=list)
    _which: list[int] = field(default_factory=list)  # index of each tick's neutral, -1 for a tick without a face

    def noting(self, ticks: Iterable[Driving]) -> Iterator[Driving]:
        """Record ticks and yield them unchanged."""
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
        """Return the record as arrays: pts (n,), which (n,), points (faces, 478, 3), neutrals (m, 478, 3)."""
        none = np.zeros((0, POINTS, 3), np.float32)
        return {
            "pts": np.array(self._pts, np.int64),
            "which": np.array(self._which, np.int32),
            "points": np.stack(self._points) if self._points else none,
            "neutrals": np.stack(self._neutrals) if self._neutrals else none,
        }

    @property
    def faces(self) -> int:
        """Number of ticks with a face."""
        return len(self._points)


def recorded_ticks(state: StateMapping, frames: Iterable[TrackedTick] | None) -> Iterator[Driving]:
    """Yield the ticks of `FaceRecord.save`. frames: the driver's, for an engine that needs its image, else None."""
    neutrals = [Face(np.asarray(points, np.float32)) for points in state["neutrals"]]
    faces = (Face(np.asarray(points, np.float32)) for points in state["points"])
    shown = (rgb for _, rgb, _ in frames) if frames is not None else None
    for pts, which in zip(state["pts"], state["which"], strict=True):
        rgb = next(shown, None) if shown is not None else None
        present = int(which) >= 0
        yield Driving(int(pts), next(faces) if present else None, neutrals[int(which)] if present else None, rgb)


def template_driven_faces(template: MotionTemplate, rate: Fraction, start: int, stop: int) -> Iterator[Driving]:
    """Yield each tick from `start` to before `stop` with the last template frame at most half a tick later than it.

    If the rates of render and template differ, frames are repeated or left out, as with a video.
    """
    for tick in range(start, stop):
        number = min(int((2 * tick + 1) * template.rate / (2 * rate)), len(template) - 1)
        yield Driving(tick_pts(tick, rate), None, None, recorded=template[number])


def write_samples(driver: Path, path: Path) -> int:
    """Write the driver's sound as raw little-endian int16 mono at 48 kHz; returns the number of samples.

    Gaps become silence. Raises StudioError when the sound breaks off.
    """
    written = 0
    with path.open("wb") as file:
        for samples in unbroken_sound(driver):
            file.write(samples.astype("<i2").tobytes())
            written += len(samples)
    return written


def read_samples(path: Path, start: int, stop: int | None) -> NDArray[np.int16]:
    """Return (n,) int16 samples from number `start` to before `stop`, or to the end."""
    count = -1 if stop is None else max(0, stop - start)
    return np.fromfile(path, "<i2", count=count, offset=2 * start).astype(np.int16)


def voice_driven_faces(run: EngineRun, plan: Plan, samples: Path, index: int) -> Iterator[RoiFrame]:
    """Yield the faces that the engine completes with a segment's sound, in the last segment also the remaining ones.

    Faces come out `voice_ahead_us` late, so a segment yields the last faces of the previous one first. All segments
    together yield each face once.
    """
    last = index + 1 == plan.segments
    first = sound_samples(plan.span(index).start, plan.fps, SOUND_RATE_HZ)[0]
    past = None if last else sound_samples(plan.span(index).stop, plan.fps, SOUND_RATE_HZ)[0]
    yield from run.voice(read_samples(samples, first, past), first)
    if last:
        yield from run.session.flush()
