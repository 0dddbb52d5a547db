"""Fade from the current motion to new motion without a jump."""

import numpy as np

from shared.easing import smoothstep
from shared.media.array_types import FloatArray
from shared.runtime.arrays import StateArrays


class Fade:
    """Values that follow a target, with every switch to another target smoothed.

    At a switch the difference between the last value and the new target becomes an offset that fades out, so the new
    target is followed live from its first frame.
    """

    def __init__(self, shown: FloatArray) -> None:
        """Start at an initial value.

        shown: float32 of any shape, which all later targets share. The first target is adopted without a fade.
        """
        self.shown = shown
        self._offset = np.zeros_like(shown)
        self._since, self._duration, self._fresh = 0, 0, True

    def value_at(self, target: FloatArray, pts: int, switch: int) -> FloatArray:
        """Return the value at `pts` (microseconds).

        switch: duration in microseconds of the fade to this target; 0 if the target continues the previous one.
        """
        if switch and not self._fresh:
            self._offset, self._since, self._duration = self.shown - target, pts, switch
        self._fresh = False
        left = 1.0 - (pts - self._since) / self._duration if self._duration else 0.0
        left = min(1.0, max(0.0, left))
        if left == 0.0:
            self._duration = 0
        self.shown = target + self._offset * np.float32(smoothstep(left))
        return self.shown

    def save(self) -> StateArrays:
        """Return the whole state as plain arrays."""
        times = np.array([self._since, self._duration, self._fresh], np.int64)
        return {"shown": self.shown.copy(), "offset": self._offset.copy(), "fade": times}

    @classmethod
    def restored(cls, state: StateArrays) -> "Fade":
        """Return a fade that continues from the state that `save` returned."""
        fade = cls(np.asarray(state["shown"], np.float32))
        fade._offset = np.asarray(state["offset"], np.float32)
        fade._since, fade._duration = (int(value) for value in state["fade"][:2])
        fade._fresh = bool(state["fade"][2])
        return fade
