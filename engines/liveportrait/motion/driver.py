"""A driver's motion, frame by frame, from its images.

It uses no future frames, and its reference is not tied to the first frame.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.api import Driving
from engines.liveportrait.motion import crop
from engines.liveportrait.motion.crop import Square
from engines.liveportrait.motion.face_crop import driver_square, in_reference, openings
from engines.liveportrait.motion.keypoints import POINTS, KeypointMotion
from engines.liveportrait.motion.retarget_rules import Ratios
from engines.liveportrait.motion.smoothing import CausalSmoother
from shared.face.landmarks import POINTS as FACE_POINTS
from shared.face.landmarks import Face
from shared.media.array_types import FloatArray, ImageArray
from shared.runtime.arrays import StateArrays

FOLLOW_US = 600_000  # time constant with which the crop follows the face
AWAY_US = 500_000  # after this long without a face, a returning face is measured afresh
# Motion is measured relative to the anchor, the one of the frames so far whose face is nearest to the neutral
# face, in eye distances.
NEARER = 0.8  # of the anchor's distance: a frame must be nearer than this to replace it
NEUTRAL = 0.02  # an anchor nearer than this is kept

ReadMotion = Callable[[ImageArray], KeypointMotion]


class MotionDriver:
    """Follows a driver; keeps the state from one driving frame to the next."""

    def __init__(self, variance: float, read: ReadMotion) -> None:
        """Start without a face.

        variance: the smoothing's variance. read: returns the motion in a (256, 256, 3) uint8 RGB crop.
        """
        self._read = read
        self._filter = CausalSmoother(variance)
        self._box: Square | None = None
        self._reference: Square | None = None
        self._neutral: FloatArray | None = None
        self._anchor: FloatArray | None = None
        self._distance = np.inf
        self._seen = 0
        self.motion: KeypointMotion | None = None
        self.ratios: Ratios | None = None

    @property
    def anchor(self) -> KeypointMotion | None:
        """Pose and expression that motion is measured from: the face so far nearest the neutral. None before a face."""
        return None if self._anchor is None else _motion(self._anchor)

    @property
    def variance(self) -> float:
        """Variance of the smoothing."""
        return self._filter.variance

    @variance.setter
    def variance(self, value: float) -> None:
        self._filter.variance = value

    def follow(self, driving: Driving) -> bool | None:
        """Process a driving frame.

        Returns whether the anchor that motion is measured from has changed; None if the frame has no face or no image.
        """
        square = self._crop(driving)
        if square is None or driving.frame is None:
            return None
        cut = crop.cut_crop(driving.frame, square.to_crop(crop.SIDE), crop.SIDE)
        return self._see(driving, self._read(np.asarray(cv2.resize(cut, (crop.INPUT, crop.INPUT)), np.uint8)))

    def _crop(self, driving: Driving) -> Square | None:
        """Update and return the square of the driving frame that is read."""
        face, neutral = driving.face, driving.neutral
        if face is None or neutral is None or driving.frame is None:
            return None
        gap = driving.pts - self._seen
        if self._neutral is None or not np.array_equal(neutral.points, self._neutral):
            self._neutral, self._distance = neutral.points.copy(), np.inf
            self._reference = self._reference or driver_square(neutral)
        target = driver_square(face)
        if self._box is None or not 0 < gap <= AWAY_US:
            self._box = target
            self._filter.reset()
        share = np.float32(1.0 - np.exp(-max(gap, 0) / FOLLOW_US))
        centre = self._box.centre + share * (target.centre - self._box.centre)
        side = self._box.side + float(share) * (target.side - self._box.side)
        self._seen = driving.pts
        self._box = Square(centre.astype(np.float32), float(np.float32(side)), 0.0)
        return self._box

    def _see(self, driving: Driving, found: KeypointMotion) -> bool:
        assert self._box is not None and self._reference is not None and driving.face is not None
        scale, t = in_reference(found.scale, found.t, self._box, self._reference)
        flat = np.concatenate([found.exp.ravel(), found.rotation.ravel(), t, scale.reshape(1)])
        flat = self._filter.smooth(flat)
        self.motion, self.ratios = _motion(flat), openings(driving.face)
        return self._take_anchor(driving.face, flat)

    def save(self) -> StateArrays:
        """Return the whole state as plain arrays; empty arrays for values that are None."""
        return {
            "filter": _or_empty(self._filter.mean),
            "spread": np.array(self._filter.spread),
            "box": _flat_square(self._box),
            "reference": _flat_square(self._reference),
            "neutral": _or_empty(self._neutral),
            "anchor": _or_empty(self._anchor),
            "distance": np.array(self._distance),
            "seen": np.array(self._seen, np.int64),
            "openings": np.zeros(0, np.float32) if self.ratios is None else np.r_[self.ratios.eyes, self.ratios.lips],
        }

    @classmethod
    def restored(cls, variance: float, read: ReadMotion, state: StateArrays) -> "MotionDriver":
        """Return a driver that continues from the state that `save` returned."""
        driver = cls(variance, read)
        driver._filter.mean, driver._filter.spread = _or_none(state["filter"]), float(state["spread"])
        driver._box, driver._reference = _square(state["box"]), _square(state["reference"])
        driver._neutral, driver._anchor = _or_none(state["neutral"], (FACE_POINTS, 3)), _or_none(state["anchor"])
        driver._distance, driver._seen = float(state["distance"]), int(state["seen"])
        if driver._filter.mean is not None:
            driver.motion = _motion(driver._filter.mean)
        ratios = _or_none(state["openings"])
        driver.ratios = None if ratios is None else Ratios(ratios[:2], ratios[2])
        return driver

    def _take_anchor(self, face: Face, flat: FloatArray) -> bool:
        """Make this frame the anchor if its face is nearer the neutral; return whether it replaced another anchor.

        The neutral is a face without an image, unless it belongs to this very frame. The frame whose face is most
        similar to it serves as the anchor, and a better frame that comes later replaces it.
        """
        if self._distance <= NEUTRAL or self._neutral is None:
            return False
        away = float(np.linalg.norm(face.points - self._neutral, axis=1).mean()) / max(face.eye_distance, 1.0)
        if self._anchor is not None and away > NEARER * self._distance:
            return False
        changed = self._anchor is not None
        self._anchor, self._distance = flat.copy(), away
        return changed


def _motion(flat: FloatArray) -> KeypointMotion:
    exp, turn, t, scale = np.split(flat, [63, 72, 75])
    u, _, v = np.linalg.svd(turn.reshape(3, 3))  # smoothed rotation matrices are no longer exact rotations
    return KeypointMotion(scale.reshape(()), np.asarray(u @ v, np.float32), exp.reshape(POINTS, 3), t)


def _flat_square(box: Square | None) -> NDArray[Any]:
    return np.zeros(0) if box is None else np.array([*box.centre, box.side])


def _square(flat: NDArray[Any]) -> Square | None:
    return Square(flat[:2].astype(np.float32), float(flat[2]), 0.0) if len(flat) else None


def _or_empty(value: FloatArray | None) -> FloatArray:
    return np.zeros(0, np.float32) if value is None else value.copy()


def _or_none(value: NDArray[Any], shape: tuple[int, ...] = (-1,)) -> FloatArray | None:
    return np.asarray(value, np.float32).reshape(shape) if value.size else None
