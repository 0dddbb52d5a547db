"""Fade from the motion shown to the motion wanted, without a jump."""

import numpy as np

from shared.easing import smoothstep
from shared.media.array_types import FloatArray
from shared.runtime.arrays import StateArrays


class Fade:
    """The numbers shown now.

    At every switch the difference to what was shown before is kept and let fade, so the new target is followed live
    from its first frame on.
    """

    def __init__(self, shown: FloatArray) -> None:
        """shown: float32 of any shape, which those that follow have too. The first of them is shown at once."""
        self.shown = shown
        self._offset = np.zeros_like(shown)
        self._since, self._duration, self._fresh = 0, 0, True

    def value_at(self, target: FloatArray, pts: int, switch: int) -> FloatArray:
        """What is shown at `pts`.

        switch: microseconds in which to come over to this target; 0 where it is the last one, further on.
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
        """Everything, as plain arrays."""
        times = np.array([self._since, self._duration, self._fresh], np.int64)
        return {"shown": self.shown.copy(), "offset": self._offset.copy(), "fade": times}

    @classmethod
    def restored(cls, state: StateArrays) -> "Fade":
        """The fade as it was when `save` was called."""
        fade = cls(np.asarray(state["shown"], np.float32))
        fade._offset = np.asarray(state["offset"], np.float32)
        fade._since, fade._duration = (int(value) for value in state["fade"][:2])
        fade._fresh = bool(state["fade"][2])
        return fade
