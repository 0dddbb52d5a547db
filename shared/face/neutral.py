"""The driver's neutral: the face at rest, relative to which all motion is measured."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import MOUTH_CORNERS, Face
from shared.face.mean_mouth import with_mean_mouth
from shared.runtime.clock import US

SETTLE_US = 2 * US  # time after the driver's face appeared in which a calmer face replaces the neutral
FORGET_US = 3 * US  # after a longer absence of the face, the neutral is chosen again
OPEN_EYES = 0.09  # approximate gap between open lids, in eye distances
WIDE_MOUTH = 0.6  # mouth width of a slight smile in eye distances; mouths at rest have 0.40 to 0.58
DOUBT = 1.6  # tension above which a face is probably not at rest
PATIENCE_US = 6 * US  # after so long without a face at rest, the calmest one counts as this person's rest
CLEARLY = 0.8  # share of a doubtful neutral's score that a face must be below to replace it after SETTLE_US


def restlessness(face: Face) -> float:
    """Return how far a face is from rest: open mouth, closed eyes, turned head. 0 is a face at rest, looking ahead.

    A mouth opening of 0.05 eye distances, a half-closed eye and a turn of 10 degrees have the same weight.
    """
    return _openness(face) + _turn(face)


def tension(face: Face) -> float:
    """Return how far mouth and eyes are from rest, regardless of the head.

    This is the part of `restlessness` for mouth and eyes, plus a term for a wide mouth, where 0.05 eye distances have
    the same weight. 0 is a face at rest; a face above DOUBT is probably not at rest.
    """
    right, left = MOUTH_CORNERS
    width = float(np.linalg.norm(face.points[right] - face.points[left])) / face.eye_distance
    return _openness(face) + max(0.0, width - WIDE_MOUTH) / 0.05


def unrest(face: Face) -> float:
    """Return the tension of a face plus the turn of its head: a measure of rest for a driver that is not known yet."""
    return tension(face) + _turn(face)


def _openness(face: Face) -> float:
    return face.mouth_opening / 0.05 + max(0.0, OPEN_EYES - min(face.eye_openings)) / (OPEN_EYES / 2)


def _turn(face: Face) -> float:
    pose = face.pose
    return abs(pose.yaw) / 10 + abs(pose.roll) / 10


class NeutralChooser:
    """Chooses the neutral: the calmest face in the driver's first two seconds, until the operator takes it again.

    guesses: for a driver that is not known yet. If none of those faces is at rest, the neutral is doubtful: it is then
    the calmest face with a mean mouth, until a clearly calmer face appears, and after PATIENCE_US the calmest face
    itself. `choose` sets the neutral of a driver that was analysed before.
    """

    def __init__(self, guesses: bool = False) -> None:
        self.guesses = guesses
        self.face: Face | None = None
        self._score = 0.0
        self._since = 0
        self._seen = -1  # pts of the face seen last, -1 before the first
        self._guessed_of: Face | None = None
        self.doubtful = False

    def reset(self) -> None:
        """Start over for another driver."""
        self.face, self._seen = None, -1
        self._guessed_of, self.doubtful = None, False

    def retake(self, face: Face) -> None:
        """Use this face as the neutral from now on."""
        self.face, self._score = face, -1.0
        self._guessed_of, self.doubtful = None, False

    def choose(self, face: Face) -> None:
        """Start over for a driver whose neutral is this face."""
        self.reset()
        self.retake(face)

    def neutral_for(self, face: Face, pts: int) -> Face:
        """The neutral for this face, seen at `pts` (microseconds)."""
        if self.face is not None and self._seen >= 0 and pts - self._seen > FORGET_US:
            self.face = None
        self._seen = pts
        score = unrest(face) if self.guesses else restlessness(face)
        if self.face is None:
            self._since = pts
            return self._take(face, score)
        settling = pts - self._since < SETTLE_US
        if score < self._score and (settling or (self.doubtful and score < CLEARLY * self._score)):
            return self._take(face, score)
        if self._guessed_of is not None and pts - self._since > PATIENCE_US:
            self.face, self._guessed_of = self._guessed_of, None
        return self.face

    def save(self) -> dict[str, NDArray[np.generic]]:
        """The state as plain arrays; for a chooser that does not guess."""
        if self.face is None:
            return {}
        times = np.array([self._since, self._seen], np.int64)
        return {"points": self.face.points.copy(), "score": np.array(self._score), "times": times}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from a state that `save` returned."""
        self.reset()
        if "points" in state:
            self.face, self._score = Face(np.asarray(state["points"], np.float32)), float(state["score"])
            self._since, self._seen = (int(value) for value in state["times"])

    def _take(self, face: Face, score: float) -> Face:
        self.doubtful = self.guesses and tension(face) > DOUBT
        self._guessed_of = face if self.doubtful and self._seen - self._since <= PATIENCE_US else None
        self.face, self._score = face if self._guessed_of is None else with_mean_mouth(face), score
        return self.face
