"""From one motion to the next without a jump: a retaken neutral, into waiting and out of it, into speech."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engines.api import Driving
from engines.fade import Fade
from engines.mesh.motion import REST, MeshMotion, NeutralMeasures, idle_motion, relative_motion
from shared.face.landmarks import Face
from shared.runtime.arrays import StateArrays

INTO_IDLE_US, OUT_OF_IDLE_US, NEW_NEUTRAL_US = 400_000, 300_000, 300_000


class MotionBlend:
    """The motion shown now, from any source."""

    def __init__(self, waiting: Callable[[int], MeshMotion] = idle_motion) -> None:
        """waiting: the motion of a waiting host at a pts."""
        self._waiting = waiting
        self._fade = Fade(REST.flat())
        self._driven = REST.flat()  # last motion of the driver, held while there is no face
        self._idle, self._speaking = False, False
        self._neutral: NeutralMeasures | None = None

    @property
    def motion(self) -> MeshMotion:
        """The motion shown last."""
        return MeshMotion.from_flat(self._fade.shown)

    def drive(self, driving: Driving) -> MeshMotion:
        """The motion for a driving frame."""
        switch = OUT_OF_IDLE_US if self._idle or self._speaking else 0
        if driving.face is not None and driving.neutral is not None:
            if self._neutral is None or not np.array_equal(driving.neutral.points, self._neutral.points):
                if self._neutral is not None:
                    switch = max(switch, NEW_NEUTRAL_US)
                self._neutral = NeutralMeasures(Face(driving.neutral.points.copy()))
            self._driven = relative_motion(driving.face, self._neutral).flat()
        self._idle = self._speaking = False
        return self._show(self._driven, driving.pts, switch)

    def idle(self, pts: int) -> MeshMotion:
        """The motion of waiting."""
        switch = 0 if self._idle else INTO_IDLE_US
        self._idle, self._speaking = True, False
        return self._show(self._waiting(pts).flat(), pts, switch)

    def speak(self, pts: int, motion: MeshMotion) -> MeshMotion:
        """The motion that a voice makes."""
        switch = 0 if self._speaking else OUT_OF_IDLE_US
        self._speaking, self._idle = True, False
        return self._show(motion.flat(), pts, switch)

    def save(self) -> StateArrays:
        """Everything, as plain arrays."""
        return self._fade.save() | {
            "driven": self._driven.copy(),
            "flags": np.array([self._idle, self._speaking]),
            "neutral": (np.zeros((0, 3), np.float32) if self._neutral is None else self._neutral.points.copy()),
        }

    @classmethod
    def restored(cls, state: StateArrays, waiting: Callable[[int], MeshMotion] = idle_motion) -> "MotionBlend":
        """The blend as it was when `save` was called."""
        easing = cls(waiting)
        easing._fade = Fade.restored(state)
        easing._driven = np.asarray(state["driven"], np.float32)
        easing._idle, easing._speaking = (bool(v) for v in state["flags"])
        neutral = np.asarray(state["neutral"], np.float32)
        easing._neutral = NeutralMeasures(Face(neutral)) if len(neutral) else None
        return easing

    def _show(self, target: NDArray[np.float32], pts: int, switch: int) -> MeshMotion:
        self._fade.value_at(target, pts, switch)
        return self.motion
