"""The driver's neutral: the face at rest that all motion is measured from."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import MOUTH_CORNERS, Face
from shared.face.mean_mouth import with_mean_mouth
from shared.runtime.clock import US

SETTLE_US = 2 * US  # a better neutral may still be found this long after the driver's face appeared
FORGET_US = 3 * US  # a face that was away for longer is measured again
OPEN_EYES = 0.09  # eye distances between open lids, about
WIDE_MOUTH = 0.6  # eye distances between the corners of a mouth that smiles already; of mouths at rest 0.40 to 0.58
DOUBT = 1.6  # a face with more tension than this is hardly at rest
PATIENCE_US = 6 * US  # a person who was never at rest for this long has a face like that
CLEARLY = 0.8  # of the score of a doubtful neutral: what replaces it later than SETTLE_US is calmer by this much


def restlessness(face: Face) -> float:
    """How far a face is from rest: open mouth, closed eyes, turned head. 0 is a face at rest, looking ahead.

    Terms are scaled so that 0.05 eye distances of mouth, a half-closed eye and 10 degrees weigh alike.
    """
    return _openness(face) + _turn(face)


def tension(face: Face) -> float:
    """How far a face's features are from rest, the head aside.

    `restlessness` of mouth and eyes, and a mouth drawn wide, of which 0.05 eye distances weigh as much. 0 is a face at
    rest; more than DOUBT is hardly one.
    """
    right, left = MOUTH_CORNERS
    width = float(np.linalg.norm(face.points[right] - face.points[left])) / face.eye_distance
    return _openness(face) + max(0.0, width - WIDE_MOUTH) / 0.05


def unrest(face: Face) -> float:
    """The tension of a face and the turn of its head: of a driver of whom nothing is known, less is nearer to rest."""
    return tension(face) + _turn(face)


def _openness(face: Face) -> float:
    return face.mouth_opening / 0.05 + max(0.0, OPEN_EYES - min(face.eye_openings)) / (OPEN_EYES / 2)


def _turn(face: Face) -> float:
    pose = face.pose
    return abs(pose.yaw) / 10 + abs(pose.roll) / 10


class NeutralChooser:
    """Chooses the neutral: the calmest face in the driver's first two seconds, until the operator re-takes it.

    guesses: for a driver of whom nothing is known yet. Where none of those faces is at rest, the neutral is doubtful: a
    guess, the calmest of them with the mouth that faces have in the mean, until a clearly calmer face comes; after
    PATIENCE_US without one, the calmest as it is. `choose` sets the neutral of a driver that was looked through before.
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
        """The face as it is now is neutral from here on."""
        self.face, self._score = face, -1.0
        self._guessed_of, self.doubtful = None, False

    def choose(self, face: Face) -> None:
        """The face is the neutral of the driver that begins."""
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
        """Continue where `save` left off."""
        self.reset()
        if "points" in state:
            self.face, self._score = Face(np.asarray(state["points"], np.float32)), float(state["score"])
            self._since, self._seen = (int(value) for value in state["times"])

    def _take(self, face: Face, score: float) -> Face:
        self.doubtful = self.guesses and tension(face) > DOUBT
        self._guessed_of = face if self.doubtful and self._seen - self._since <= PATIENCE_US else None
        self.face, self._score = face if self._guessed_of is None else with_mean_mouth(face), score
        return self.face
