"""The body's own face in every frame of a plate, measured once and stored in the avatar.

The points are one file, which is memory-mapped: a film of ten minutes has 45 MB of points, a frame 3 KB.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.avatar.model import Avatar
from shared.avatar.plate import Plate
from shared.face import similarity
from shared.face.finder import FaceFinder
from shared.face.landmarks import POINTS, Face
from shared.face.rest_pose import turn_to_rest
from shared.face.time_filters import gaussian
from shared.media.colour import i420_to_rgb
from shared.runtime.files import write_atomically

FILE = "body_faces.npy"  # (N, 478, 3) int16 in units of STEP_PX, ROI pixels; all ABSENT for a frame without a face
STEP_PX = 1 / 32
SHAPE_STEPS = 20_000.0
ABSENT = np.iinfo(np.int16).min
BRIDGED_S = 0.5  # longest gap without a face that is interpolated from the faces before and after
BLOCK_FRAMES = 500  # frames that are smoothed at a time
# Sigmas of the Gaussian filters: the longer one removes the finder's noise from the head's points, lips move too fast
# for it.
HEAD_SIGMA_S, LIPS_SIGMA_S = 0.06, 0.02
SIZES, MOVED = (0.6, 1.6), 0.4  # limits relative to the placed face's size, beyond which a found face is another one

# Inner and outer lips.
LIP_POINTS = np.array(
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
    + [76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 408, 304, 303, 302, 11, 72, 73, 74, 184]
    + [62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 407, 272, 271, 268, 12, 38, 41, 42, 183]
    + [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
)

FramesDone = Callable[[int, int], None]  # called with frames done and frames in total


class PackedShape(NamedTuple):
    """A face's points, packed into 3 KB.

    points: (478, 3) int16 relative to `centre`, where SHAPE_STEPS is the face's size. centre: (2,) float32. size: the
    face's, in pixels.
    """

    points: NDArray[np.int16]
    centre: NDArray[np.float32]
    size: float

    @classmethod
    def of(cls, face: Face) -> "PackedShape":
        """Pack the points of a face."""
        centre, size = face.points[:, :2].mean(axis=0), max(face.size, 1e-3)
        points = face.points.copy()
        points[:, :2] -= centre
        return cls(_rounded(points * (SHAPE_STEPS / size)), centre, size)

    @property
    def face(self) -> Face:
        """The unpacked face, in the original pixels."""
        points = self.points.astype(np.float32) * np.float32(self.size / SHAPE_STEPS)
        points[:, :2] += self.centre
        return Face(points)


@dataclass(frozen=True, slots=True)
class BodyFaces:
    """The faces of a plate's body. points: as in the file, memory-mapped."""

    points: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.points)

    def face(self, index: int) -> Face | None:
        """Return the face in a plate frame, in ROI pixels by that frame's placement; None if there is none."""
        row = self.points[index]
        return None if int(row[0, 0]) == ABSENT else Face(row.astype(np.float32) * np.float32(STEP_PX))

    def seen(self) -> NDArray[np.int64]:
        """Numbers of the frames with a face."""
        return np.flatnonzero(self.points[:, 0, 0] != ABSENT)

    def gaps(self) -> NDArray[np.float64]:
        """(N,) `Face.mouth_opening` of each frame, 0 without a face."""
        found = np.zeros(len(self))
        for index in self.seen().tolist():
            face = self.face(index)
            assert face is not None
            found[index] = face.mouth_opening
        return found


def kept_body_faces(avatar: Avatar, progress: FramesDone = lambda done, total: None) -> BodyFaces:
    """Return the faces of an avatar's plate, which are measured on the first call (25 ms per frame).

    They are stored in the avatar's folder if that can be written.
    """
    path = avatar.folder / FILE
    found = _read(path, len(avatar.plate))
    if found is not None:
        return found
    points = measure_body_faces(avatar.plate, turn_to_rest(avatar.face, avatar.rest), progress)
    try:
        file = BytesIO()
        np.save(file, points, allow_pickle=False)
        write_atomically(path, file.getvalue(), 0o644)
    except OSError:
        return BodyFaces(points)  # in a folder that cannot be written they are measured on each call
    return _read(path, len(avatar.plate)) or BodyFaces(points)


def save_body_faces(
    folder: Path,
    shapes: Sequence[PackedShape | None],
    placements: NDArray[np.float64],
    presence: NDArray[np.floating],
    cuts: Sequence[int],
    fps: float,
    fades: Sequence[tuple[int, int, float]] = (),
) -> None:
    """Store a plate's faces that were found while its film was followed.

    shapes: the face's shape in each of the film's frames, in frame pixels. placements: (N, 2, 3). presence: (N,), 0
    where no face is placed. cuts: numbers of the frames that begin another shot. fades: for each cross-fade frame that
    the plate has after the film's frames, the two film frames and the weight of the second. Raises OSError.
    """
    points = np.full((len(shapes), POINTS, 3), ABSENT, np.int16)
    for index, shape in enumerate(shapes):
        if shape is not None and presence[index] > 0.0:
            points[index] = _packed(shape.face.moved(similarity.invert(placements[index])).points)
    bridge(points, round(BRIDGED_S * fps), cuts)
    smooth_faces(points, fps, cuts)
    faded = [_faded(points[before], points[after], weight) for before, after, weight in fades]
    np.save(folder / FILE, np.concatenate([points, *(each[None] for each in faded)]), allow_pickle=False)


def measure_body_faces(
    plate: Plate, placed: Face, progress: FramesDone = lambda done, total: None
) -> NDArray[np.int16]:
    """Measure the face in every plate frame and return (N, 478, 3) int16 points as in the file.

    placed: the ROI's face, which the placements map onto the plate's face.
    """
    finder, count = FaceFinder(), len(plate)
    points = np.full((count, POINTS, 3), ABSENT, np.int16)
    for index in range(count):
        if plate.face_opacity(index) > 0.0:
            rgb, placement = i420_to_rgb(plate.frame(index)), plate.placements[index]
            wanted = placed.moved(placement)
            face = finder.face_near(rgb, wanted.box)
            if face is not None and _is_there(face, wanted):
                points[index] = _packed(face.moved(similarity.invert(placement)).points)
        progress(index + 1, count)
    cuts = () if plate.cuts is None else plate.cuts.tolist()
    bridge(points, round(BRIDGED_S * plate.fps), cuts)
    smooth_faces(points, plate.fps, cuts)
    return points


def _read(path: Path, count: int) -> BodyFaces | None:
    try:
        points = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return BodyFaces(points) if points.shape == (count, POINTS, 3) and points.dtype == np.int16 else None


def _is_there(face: Face, wanted: Face) -> bool:
    off = float(np.linalg.norm(face.middle - wanted.middle))
    return SIZES[0] < face.size / max(wanted.size, 1.0) < SIZES[1] and off < MOVED * wanted.size


def _packed(points: NDArray[np.floating]) -> NDArray[np.int16]:
    return _rounded(points / STEP_PX)


def _faded(before: NDArray[np.int16], after: NDArray[np.int16], weight: float) -> NDArray[np.int16]:
    """The points of a cross-fade between two frames; ABSENT if either frame has no face."""
    if ABSENT in (int(before[0, 0]), int(after[0, 0])):
        return np.full_like(before, ABSENT)
    return _rounded(before + (after.astype(np.float64) - before) * weight)


def _rounded(values: NDArray[np.floating]) -> NDArray[np.int16]:
    return np.asarray(np.clip(np.rint(values), ABSENT + 1, -ABSENT - 1), np.int16)


def _runs(present: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The (first, end) of each run of consecutive True values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _shots(points: NDArray[np.int16], cuts: Sequence[int]) -> list[tuple[int, int]]:
    """(first, end) of each run of faces within one shot."""
    shots = []
    for first, end in _runs(points[:, 0, 0] != ABSENT):
        starts = [first, *(cut for cut in cuts if first < cut < end)]
        shots += list(zip(starts, [*starts[1:], end], strict=True))
    return shots


def bridge(points: NDArray[np.int16], longest: int, cuts: Sequence[int] = ()) -> None:
    """Interpolate gaps of at most `longest` frames without a face between two faces of one shot, in place.

    cuts: numbers of the frames that begin another shot, in order.
    """
    for first, end in _runs(points[:, 0, 0] == ABSENT):
        if first == 0 or end == len(points) or end - first > longest:
            continue
        if any(first <= cut <= end for cut in cuts):
            continue
        before, after = points[first - 1].astype(np.float64), points[end].astype(np.float64)
        for index in range(first, end):
            share = (index - first + 1) / (end - first + 1)
            points[index] = np.rint(before + (after - before) * share).astype(np.int16)


def smooth_faces(points: NDArray[np.int16], fps: float, cuts: Sequence[int] = ()) -> None:
    """Smooth out the finder's noise within each shot, in place and block by block.

    cuts: numbers of the frames that begin another shot, in order.
    """
    margin = round(8 * HEAD_SIGMA_S * fps) + 1
    for first, end in _shots(points, cuts):
        before: NDArray[np.int16] = points[:0]  # the frames before this block, before they were smoothed
        for start in range(first, end, BLOCK_FRAMES):
            stop = min(end, start + BLOCK_FRAMES)
            raw = np.concatenate([before, points[start : min(end, stop + margin)]])
            flat = raw.reshape(len(raw), -1).astype(np.float64)
            head = gaussian(flat, max(HEAD_SIGMA_S * fps, 0.1)).reshape(raw.shape)
            lips = gaussian(flat, max(LIPS_SIGMA_S * fps, 0.1)).reshape(raw.shape)
            head[:, LIP_POINTS] = lips[:, LIP_POINTS]
            before, skipped = points[max(first, stop - margin) : stop].copy(), len(before)
            points[start:stop] = np.rint(head[skipped : skipped + stop - start]).astype(np.int16)
