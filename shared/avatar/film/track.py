"""Follows the host through a film in one pass: in each frame the same person or none."""

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

# Points by which a face is placed: those that neither speech nor a smile moves, and the oval down to the
# cheeks, for the face's width. Without lids and mouth.
STABLE = np.unique(np.concatenate([RIGID, OVAL[:9], OVAL[-8:]]))
# Landmarks have a small constant error; it is determined by measuring some frames more precisely: their interval and
# their number.
PRECISE_EVERY, PRECISE_FRAMES = 10, 12
SAMPLES = 256  # most faces that are kept unpacked, however long the film is
SEARCH_FRAMES = (
    5  # after losing the host, search this many frames one by one and then every fifth: a search takes 0.1 s
)
MAX_JUMP, SIZES = 0.5, (0.6, 1.6)  # largest motion and ratio of sizes between frames, relative to the face's size
LEFT_PATTERN = 0.2  # lowest correlation at the face's last position if the face is still there, partly covered
OTHER_REST = 8.0  # lowest `Likeness.rest` of another person's face, in levels


class Sight(IntEnum):
    """Visibility of the host in a frame."""

    SEEN = 0
    HIDDEN = 1  # not found, but parts of the face are visible at its last position
    ABSENT = 2
    OTHER = 3  # only another person's face is visible


class SeenFace(NamedTuple):
    """The stored measurements of the host's face in a frame.

    shape: all points. stable: (K, 2) float32, the STABLE points in pixels. size: in pixels. openings:
    `Face.opening_ratios`. mouth: `Face.mouth_opening`. light: None if too little skin is visible.
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
    """Result of following a film, frame by frame; about 4 kB per frame.

    size: the frames' (width, height). looks: a (16, 16) uint8 grey copy of each frame. sample: unpacked faces of at
    most 256 evenly spread frames, by number. colours: `landmark_colours` of the same frames. precise: some faces with a
    more precise measurement. unlike_before: numbers of the frames in which a shot's face was first found and looks like
    another person than in the shots before.
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
    every: int = 1  # interval between two frames of the sample

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
        self._clear: Face | None = None  # the last face that nothing covered
        self._missed = 0
        self._unsearched: deque[tuple[int, ImageArray]] = deque(maxlen=SEARCH_FRAMES - 1)

    def step(self, rgb: ImageArray) -> None:
        """Add the film's next frame, (H, W, 3) uint8 RGB."""
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
        """The face at the host's last position, which may be another person's, and its similarity; None without one."""
        if self._last is None:
            return None
        face = self._finder.face_near(rgb, self._last.box)
        if face is None or not _is_near(face, self._last):
            return None
        return face, self._memory.compare(rgb, face)

    def _search(self, rgb: ImageArray) -> list[tuple[Face, Likeness]]:
        """All faces in the frame, most similar to the host's first, or largest first while the host is not known."""
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
        """Find the host, which is visible again, in the preceding frames that were not searched."""
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
    """Return a (16, 16) uint8 grey image, which is enough to exclude that two frames are alike."""
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
