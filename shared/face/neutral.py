"""The driver's neutral: the face at rest that all motion is measured from."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import Face
from shared.runtime.clock import US

SETTLE_US = 2 * US  # a better neutral may still be found this long after the driver's face appeared
FORGET_US = 3 * US  # a face that was away for longer is measured again
OPEN_EYES = 0.09  # eye distances between open lids, about


def restlessness(face: Face) -> float:
    """How far a face is from rest: open mouth, closed eyes, turned head. 0 is a face at rest, looking ahead.

    Terms are scaled so that 0.05 eye distances of mouth, a half-closed eye and 10 degrees weigh alike.
    """
    pose = face.pose
    lids = min(face.eye_openings)
    return (
        face.mouth_opening / 0.05
        + max(0.0, OPEN_EYES - lids) / (OPEN_EYES / 2)
        + abs(pose.yaw) / 10
        + abs(pose.roll) / 10
    )


class NeutralChooser:
    """Chooses the neutral: the calmest face in the driver's first two seconds, until the operator re-takes it."""

    def __init__(self) -> None:
        self.face: Face | None = None
        self._score = 0.0
        self._since = 0
        self._seen = 0

    def reset(self) -> None:
        """Another driver begins."""
        self.face = None

    def retake(self, face: Face) -> None:
        """The face as it is now is neutral from here on."""
        self.face, self._score = face, -1.0

    def neutral_for(self, face: Face, pts: int) -> Face:
        """The neutral for this face, seen at `pts` (microseconds)."""
        if self.face is not None and pts - self._seen > FORGET_US:
            self.face = None
        self._seen = pts
        score = restlessness(face)
        if self.face is None:
            self.face, self._score, self._since = face, score, pts
        elif score < self._score and pts - self._since < SETTLE_US:
            self.face, self._score = face, score
        return self.face

    def save(self) -> dict[str, NDArray[np.generic]]:
        """What it carries, as plain arrays."""
        if self.face is None:
            return {}
        times = np.array([self._since, self._seen], np.int64)
        return {"points": self.face.points.copy(), "score": np.array(self._score), "times": times}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on where `save` left off."""
        self.reset()
        if "points" in state:
            self.face, self._score = Face(np.asarray(state["points"], np.float32)), float(state["score"])
            self._since, self._seen = (int(value) for value in state["times"])
