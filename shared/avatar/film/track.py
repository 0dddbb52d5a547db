"""Follows the film's host through it in one pass: the same person in every frame, or none."""

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.body_faces import PackedShape
from shared.avatar.film.cuts import Change, ChangeMeter
from shared.avatar.film.look import LIKE, PATCH, FaceMemory, Likeness, sharpness
from shared.avatar.relight import landmark_colours
from shared.avatar.skin import SkinLight, measure_light
from shared.face.finder import FaceFinder
from shared.face.landmarks import OVAL, RIGID, Face, Pose
from shared.media.array_types import ImageArray

# What decides where a face goes: points that neither speech nor a smile moves, and the oval down to the
# cheeks so that the width of the face counts. Lids and mouth are left out.
STABLE = np.unique(np.concatenate([RIGID, OVAL[:9], OVAL[-8:]]))
# Landmarks are a little off, in the same way in every frame; so many frames, so far apart, tell by how much.
PRECISE_EVERY, PRECISE_FRAMES = 10, 12
SAMPLES = 256  # whole faces that are kept, however long the film is
SEARCH_FRAMES = (
    5  # frames after losing the host that are searched one by one, and then every fifth: a search takes 0.1 s
)
MAX_JUMP, SIZES = 0.5, (0.6, 1.6)  # of the face's size between frames: more is another face or a mistake
LEFT_PATTERN = 0.2  # correlation at the face's last place, at least, for something to hide a face that is still there
OTHER_REST = 8.0  # levels, see `Likeness`: of another person's face, at least


class Sight(IntEnum):
    """How the host was found in a frame."""

    SEEN = 0
    HIDDEN = 1  # not found, but parts of the face show where it was
    ABSENT = 2
    OTHER = 3  # only another person's face shows


class SeenFace(NamedTuple):
    """A face as it is kept.

    shape: all of its points. stable: (K, 2) float32, its STABLE points in pixels. openings: `Face.opening_ratios`.
    """

    shape: PackedShape
    stable: NDArray[np.float32]
    pose: Pose
    size: float
    openings: NDArray[np.float32]
    mouth: float
    sharpness: float
    likeness: Likeness
    light: SkinLight | None


@dataclass(slots=True)
class FilmTrack:
    """What following a film yields, frame by frame; about 4 kB a frame.

    sample: whole faces of at most 256 frames, evenly spread; colours: of the same frames. looks: (16, 16) uint8 grey of
    each frame. precise: some faces measured with more care. unlike_before: frames in which a shot's face was first
    found and looks like another person than before.
    """

    size: tuple[int, int] = (0, 0)
    faces: list[SeenFace | None] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    looks: list[NDArray[np.uint8]] = field(default_factory=list)
    sample: dict[int, Face] = field(default_factory=dict)
    colours: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    precise: dict[int, Face] = field(default_factory=dict)
    unlike_before: set[int] = field(default_factory=set)
    every: int = 1  # frames between two samples

    def __len__(self) -> int:
        return len(self.faces)


class HostFollower:
    """Follows a film's host. Not thread-safe. About 25 ms a frame on one core, and 0.1 s while the host is away."""

    def __init__(self) -> None:
        self.track = FilmTrack()
        self._finder = FaceFinder()
        self._meter = ChangeMeter()
        self._memory, self._before = FaceMemory(), FaceMemory()
        self._last: Face | None = None
        self._clear: Face | None = None  # the last one that nothing covered
        self._missed = 0
        self._unsearched: deque[tuple[int, ImageArray]] = deque(maxlen=SEARCH_FRAMES - 1)

    def step(self, rgb: ImageArray) -> None:
        """Take in the film's next frame, (H, W, 3) uint8 RGB."""
        track, number = self.track, len(self.track)
        change, cut = self._meter.step(rgb)
        track.changes.append(change)
        track.looks.append(grey_look(rgb))
        track.size = rgb.shape[1], rgb.shape[0]
        if cut:
            self._begin_shot()
        near = self._near(rgb)
        if near is not None and near[1].same:
            self._accept(number, rgb, *near)
            return
        self._missed += 1
        searched = self._missed <= SEARCH_FRAMES or self._missed % SEARCH_FRAMES == 0
        others = self._search(rgb) if searched else []
        if others and others[0][1].same:
            self._look_back(*others[0])
            self._accept(number, rgb, *others[0])
            return
        track.faces.append(None)
        if searched:
            track.sights.append(self._sight(rgb, near, bool(others)))
        else:
            track.sights.append(track.sights[-1])
            self._unsearched.append((number, rgb))

    def _begin_shot(self) -> None:
        if not self._memory.empty:
            self._before = self._memory
        self._memory, self._last, self._clear, self._missed = FaceMemory(), None, None, 0
        self._unsearched.clear()

    def _near(self, rgb: ImageArray) -> tuple[Face, Likeness] | None:
        """The face where the host's was last, the host's or another."""
        if self._last is None:
            return None
        face = self._finder.face_near(rgb, self._last.box)
        if face is None or not _is_near(face, self._last):
            return None
        return face, self._memory.compare(rgb, face)

    def _search(self, rgb: ImageArray) -> list[tuple[Face, Likeness]]:
        """All faces, the one most like the host's first; the largest while the host is not known."""
        boxes = self._finder.search(rgb)
        faces = [face for box in boxes if (face := self._finder.face_near(rgb, box)) is not None]
        if self._memory.empty:
            faces.sort(key=lambda face: -face.size)
        compared = [(face, self._memory.compare(rgb, face)) for face in faces]
        return compared if self._memory.empty else sorted(compared, key=lambda each: each[1].unlike - each[1].pattern)

    def _sight(self, rgb: ImageArray, near: tuple[Face, Likeness] | None, others: bool) -> Sight:
        if self._clear is not None:
            left = self._memory.compare(rgb, self._clear)
            if near is not None and min(left.rest, near[1].rest) < OTHER_REST:
                return Sight.HIDDEN
            if near is None and left.rest < OTHER_REST and left.pattern > LEFT_PATTERN:
                return Sight.HIDDEN
        return Sight.OTHER if others or near else Sight.ABSENT

    def _look_back(self, face: Face, likeness: Likeness) -> None:
        """The host is back: see since when, in the frames that were not searched."""
        while self._unsearched:
            number, rgb = self._unsearched.pop()
            found = self._finder.face_near(rgb, face.box)
            if found is None or not _is_near(found, face):
                break
            likeness = self._memory.compare(rgb, found)
            if not likeness.same:
                break
            self.track.faces[number] = _kept(rgb, found, likeness)
            self.track.sights[number] = Sight.SEEN
            face = found
        self._unsearched.clear()

    def _accept(self, number: int, rgb: ImageArray, face: Face, likeness: Likeness) -> None:
        track = self.track
        if self._memory.empty and not self._before.empty and not self._before.compare(rgb, face).same:
            track.unlike_before.add(number)
        self._memory.remember(rgb, face, likeness)
        self._last, self._missed = face, 0
        if likeness.unlike < LIKE and likeness.patch < PATCH:
            self._clear = face
        self._unsearched.clear()
        track.faces.append(_kept(rgb, face, likeness))
        track.sights.append(Sight.SEEN)
        if number % track.every == 0:
            track.sample[number], track.colours[number] = face, landmark_colours(rgb, face)
            if len(track.sample) > SAMPLES:
                track.every *= 2
                for kept in (track.sample, track.colours):
                    for old in [each for each in kept if each % track.every]:
                        del kept[old]
        if number % PRECISE_EVERY == 0 and len(track.precise) < PRECISE_FRAMES:
            track.precise[number] = self._finder.measure(rgb, face)


def grey_look(rgb: ImageArray) -> NDArray[np.uint8]:
    """(16, 16) uint8 grey: enough to see whether two frames may be alike."""
    small = cv2.resize(rgb, (16, 16), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _kept(rgb: ImageArray, face: Face, likeness: Likeness) -> SeenFace:
    return SeenFace(
        PackedShape.of(face), face.points[STABLE, :2].copy(), face.pose, face.size, face.opening_ratios,
        face.mouth_opening,
        sharpness(rgb, face), likeness, measure_light(rgb, face),
    )  # fmt: skip


def _is_near(face: Face, last: Face) -> bool:
    moved = float(np.linalg.norm(face.middle - last.middle))
    return SIZES[0] < face.size / max(last.size, 1.0) < SIZES[1] and moved < MAX_JUMP * last.size
