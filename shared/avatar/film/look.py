"""Compares the coarse appearance of faces, to detect that something covers a face or that it is another person's."""

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face import similarity
from shared.face.landmarks import LIP_TOP, OVAL, RIGID, Face
from shared.media.array_types import FloatArray, ImageArray

SIDE_PX = 40  # side of the coarse image, whose pixels are called cells
DETAIL_PX = 128  # side of the image in which sharpness is measured
FACE_OF_SIDE = 0.8
UNLIKE_LEVELS = 30.0  # difference in colour above which a cell shows something else
PATCH_LEVELS, PATCH_CELLS = (
    20.0,
    5,
)  # smaller differences count in patches of so many cells in each direction: lips and edges of shadows are narrower
PATCH = 0.02  # share of the face's cells in such patches above which the face is covered
SUDDEN = (
    0.04,
    0.015,
)  # increases of `unlike` and `patch` in one frame above which something has come in front of the face
A_DEGREE = 0.02, 0.008  # additional increase of each that is allowed per degree by which the head keeps turning
GAIN = 0.85, 1.18  # limits for a sudden change of the light; the memory adapts to slow changes
KEEP = 0.06  # weight of a new frame in the memory
VIEW_DEGREES = 12.0  # range of yaw and pitch of views that are remembered separately
LIKE, PARTLY = 0.06, 0.3  # shares of unlike cells: below the first it is the known view, below the second a new view
SAME_PATTERN, SAME_REST = 0.8, 8.0  # lowest correlation and largest difference in levels for images of the same face


_NOISE = np.random.default_rng(1).normal(0.0, 1.5, SIDE_PX * SIDE_PX)  # levels; keeps flat images from correlating


class Likeness(NamedTuple):
    """Similarity of a face to the remembered one.

    unlike: share, 0 to 1, of the face's cells, without those of the mouth, whose colour differs. patch: share of the
    cells, with those of the mouth, in wide patches of different colour. pattern: correlation of the levels. rest:
    largest difference in levels among the most similar quarter of the cells: small if something covers a part of the
    face, larger for another person's.
    """

    unlike: float
    patch: float
    pattern: float
    rest: float

    @property
    def same(self) -> bool:
        """Whether this is the remembered face, or most of it."""
        return self.unlike < PARTLY and self.pattern > SAME_PATTERN and self.rest < SAME_REST


@dataclass(slots=True)
class FaceMemory:
    """Remembers the appearance of the followed face, by view. Not thread-safe; constant memory.

    Every face is aligned with the first one by a similarity of its rigid points, so that a cell always shows the same
    place of the skin.
    """

    _home: NDArray[np.float64] | None = field(init=False, default=None)  # (K, 2) rigid points in the coarse image
    _inside: NDArray[np.bool_] = field(init=False, repr=False, default_factory=lambda: np.zeros((0, 0), np.bool_))
    _oval: NDArray[np.bool_] = field(init=False, repr=False, default_factory=lambda: np.zeros((0, 0), np.bool_))
    _before: Likeness = field(init=False, default=Likeness(0.0, 0.0, 1.0, 0.0))
    _suspect: bool = field(init=False, default=False)
    _poses: list[tuple[float, float]] = field(init=False, default_factory=list)  # yaw and pitch of the last two frames
    _views: dict[tuple[int, int], FloatArray] = field(init=False, repr=False, default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether no face has been remembered."""
        return self._home is None

    def compare(self, rgb: ImageArray, face: Face) -> Likeness:
        """Return the similarity of the image under a face's points to the memory; full similarity to an empty one."""
        if self._home is None:
            return Likeness(0.0, 0.0, 1.0, 0.0)
        view = _view(face)
        known = self._views[min(self._views, key=lambda each: abs(each[0] - view[0]) + abs(each[1] - view[1]))]
        crop = self._coarse(rgb, face)
        now, then = crop[self._inside], known[self._inside]
        # Either the light has changed or something dark covers half of the face: use the gain that explains more cells.
        gain = np.clip(np.median((now.mean(axis=1) + 8.0) / (then.mean(axis=1) + 8.0)), *GAIN)
        apart, gain = min(
            ((np.abs(now / each - then).max(axis=1), each) for each in (1.0, gain)), key=lambda each: _rest(each[0])
        )
        pattern = np.corrcoef(now.mean(axis=1) + _NOISE[: len(now)], then.mean(axis=1))[0, 1]
        patch = _patches(np.abs(crop / gain - known).max(axis=2), self._oval)
        return Likeness(float((apart > UNLIKE_LEVELS).mean()), patch, float(pattern), _rest(apart))

    def remember(self, rgb: ImageArray, face: Face, likeness: Likeness) -> None:
        """Update the memory with this frame's view of the face, unless too much of it looks like something else."""
        if self._home is None:
            self._begin(face)
        view = _view(face)
        known = self._views.get(view)
        turned = self._turned(face)
        self._suspect = self._looks_covered(likeness, turned)
        self._before = likeness
        if known is None and likeness.unlike < PARTLY and not self._suspect:
            self._views[view] = self._coarse(rgb, face)
        elif known is not None and likeness.unlike < LIKE and likeness.patch < PATCH / 2:
            known += KEEP * (self._coarse(rgb, face) - known)

    def _turned(self, face: Face) -> float:
        """Degrees by which the head kept turning: the smaller of the last two steps if both go the same way.

        An object that passes in front of a face moves its points only once.
        """
        poses = [*self._poses, (face.pose.yaw, face.pose.pitch)]
        self._poses = poses[-2:]
        if len(poses) < 3:
            return 0.0
        before, now = (np.subtract(poses[at + 1], poses[at]) for at in (0, 1))
        return float(np.where(before * now > 0, np.minimum(np.abs(before), np.abs(now)), 0.0).max())

    def _looks_covered(self, likeness: Likeness, turned: float) -> bool:
        """Whether something has come in front of the face and is still there, so that this is not a new view of it."""
        allowed = SUDDEN[0] + A_DEGREE[0] * turned, SUDDEN[1] + A_DEGREE[1] * turned
        came = likeness.unlike - self._before.unlike > allowed[0] or likeness.patch - self._before.patch > allowed[1]
        return came or (self._suspect and (likeness.unlike > LIKE or likeness.patch > PATCH))

    def _begin(self, face: Face) -> None:
        upright = _upright(face, SIDE_PX)
        points = similarity.apply_similarity(upright, face.points[:, :2])
        inside = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
        cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(points[OVAL]).astype(np.int32)), (255,))
        inside = np.asarray(cv2.erode(inside, np.ones((3, 3), np.uint8)), np.uint8)
        self._oval = inside > 0
        mouth = points[LIP_TOP] + (0, 1)
        cv2.ellipse(inside, (int(mouth[0]), int(mouth[1])), (5, 4), 0, 0, 360, (0,), -1)  # without what speech changes
        self._home, self._inside = points[RIGID], inside > 0

    def _coarse(self, rgb: ImageArray, face: Face) -> FloatArray:
        assert self._home is not None
        matrix = similarity.fit(face.points[RIGID, :2], self._home)
        return cv2.GaussianBlur(_crop(rgb, matrix, SIDE_PX), (0, 0), 0.8).astype(np.float32)


def sharpness(rgb: ImageArray, face: Face) -> float:
    """Return the variance of the Laplacian in a crop of fixed size around the face, relative to that of its levels."""
    grey = cv2.cvtColor(_crop(rgb, _upright(face, DETAIL_PX), DETAIL_PX), cv2.COLOR_RGB2GRAY).astype(np.float32)
    middle = grey[DETAIL_PX // 5 : -DETAIL_PX // 5, DETAIL_PX // 5 : -DETAIL_PX // 5]
    return float(cv2.Laplacian(middle, cv2.CV_32F).var() / (middle.var() + 25.0))


def _patches(apart: FloatArray, oval: NDArray[np.bool_]) -> float:
    """Share of an oval's cells in patches of different colour, at least PATCH_CELLS wide in each direction."""
    differs = ((apart > PATCH_LEVELS) & oval).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (PATCH_CELLS, PATCH_CELLS))
    return float(cv2.morphologyEx(differs, cv2.MORPH_OPEN, kernel).sum() / max(int(oval.sum()), 1))


def _rest(apart: FloatArray) -> float:
    return float(np.percentile(apart, 25))


def _view(face: Face) -> tuple[int, int]:
    pose = face.pose
    return round(pose.yaw / VIEW_DEGREES), round(pose.pitch / VIEW_DEGREES)


def _upright(face: Face, side: int) -> NDArray[np.float64]:
    """The (2, 3) matrix from the image to a square of `side` pixels, FACE_OF_SIDE of which the upright face fills."""
    left, top, right, bottom = face.box
    scale = side * FACE_OF_SIDE / max(face.size, 1.0)
    roll = np.radians(face.pose.roll)
    cosine, sine = scale * np.cos(roll), scale * np.sin(roll)
    linear = np.array([[cosine, sine], [-sine, cosine]])
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    return np.column_stack([linear, (side - 1) / 2 - linear @ middle])


def _crop(rgb: ImageArray, matrix: NDArray[np.float64], side: int) -> ImageArray:
    """The (side, side, 3) crop of the image by a matrix, reduced by averaging where it shrinks."""
    scale = similarity.scale_of(matrix)
    over = max(1, min(8, int(np.ceil(1 / scale)))) if scale < 1 else 1
    wide = similarity.compose(similarity.resize_matrix(over, over), matrix)
    crop = cv2.warpAffine(
        rgb, wide, (side * over, side * over), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA) if over > 1 else crop, np.uint8)
