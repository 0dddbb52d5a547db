"""Turns driver frames into motion: tracks and smooths the face and chooses its neutral, for live and render alike."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import Face
from shared.face.neutral import NeutralChooser
from shared.face.smoothing import FaceSmoother
from shared.face.tracker import FaceTracker
from shared.runtime.arrays import pack_part, unpack_part

FOLLOWED_SIDE_PX = (
    640  # longer side of a driver's frame: a larger one does not improve landmarks and makes every copy more expensive
)


class FaceFollower:
    """Follows the driver's face through its frames. Not thread-safe.

    guesses: see `NeutralChooser`.
    """

    def __init__(self, guesses: bool = False) -> None:
        self._tracker = FaceTracker()
        self._smoother = FaceSmoother()
        self._neutral = NeutralChooser(guesses)
        self._retake = False

    def restart(self, guesses: bool = False) -> None:
        """Start over for another driver."""
        self._smoother.reset()
        self._neutral.reset()
        self._neutral.guesses = guesses

    @property
    def doubtful(self) -> bool:
        """Whether the neutral is a guess: the driver has not been seen at rest."""
        return self._neutral.doubtful

    def choose_neutral(self, face: Face) -> None:
        """Start over for another driver whose neutral this is."""
        self._neutral.choose(face)

    def retake_neutral(self) -> None:
        """Use the next face as the neutral."""
        self._retake = True

    def follow(self, rgb: NDArray[np.uint8], pts: int) -> tuple[Face, Face] | None:
        """Return smoothed face and neutral for a (H, W, 3) uint8 RGB frame at `pts` (microseconds), None if no face."""
        found = self._tracker.track(rgb)
        if found is None:
            self._smoother.reset()
            return None
        face = self._smoother.smooth(found, pts)
        if self._retake:
            self._retake = False
            self._neutral.retake(face)
        return face, self._neutral.neutral_for(face, pts)

    def join(self, before: Iterable[NDArray[np.uint8]]) -> None:
        """Begin a segment: restart the tracker, whose state cannot be saved, and show it the few frames before.

        A follower that begins here then gives the same results as one that began earlier.
        """
        self._tracker.restart()
        for rgb in before:
            self._tracker.track(rgb)

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return the state carried from frame to frame as plain arrays, without the tracker's own (see `join`)."""
        return pack_part("smoother", self._smoother.save()) | pack_part("neutral", self._neutral.save())

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from a state that `save` returned."""
        self._smoother.restore(unpack_part("smoother", state))
        self._neutral.restore(unpack_part("neutral", state))
