"""Easing between motions without a jump: a new neutral, idling, driven motion and speech."""

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
    """The current motion, eased whenever its source changes."""

    def __init__(self, waiting: Callable[[int], MeshMotion] = idle_motion) -> None:
        """Start at rest.

        waiting: returns the motion of a waiting host at a pts.
        """
        self._waiting = waiting
        self._fade = Fade(REST.flat())
        self._driven = REST.flat()  # last motion of the driver, held while no face is found
        self._idle, self._speaking = False, False
        self._neutral: NeutralMeasures | None = None

    @property
    def motion(self) -> MeshMotion:
        """The motion returned last."""
        return MeshMotion.from_flat(self._fade.shown)

    def drive(self, driving: Driving) -> MeshMotion:
        """Return the motion for a driving frame."""
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
        """Return the motion of the waiting host at `pts`."""
        switch = 0 if self._idle else INTO_IDLE_US
        self._idle, self._speaking = True, False
        return self._show(self._waiting(pts).flat(), pts, switch)

    def speak(self, pts: int, motion: MeshMotion) -> MeshMotion:
        """Return `motion`, which a voice produced, eased in at `pts`."""
        switch = 0 if self._speaking else OUT_OF_IDLE_US
        self._speaking, self._idle = True, False
        return self._show(motion.flat(), pts, switch)

    def save(self) -> StateArrays:
        """Return the whole state as plain arrays."""
        return self._fade.save() | {
            "driven": self._driven.copy(),
            "flags": np.array([self._idle, self._speaking]),
            "neutral": (np.zeros((0, 3), np.float32) if self._neutral is None else self._neutral.points.copy()),
        }

    @classmethod
    def restored(cls, state: StateArrays, waiting: Callable[[int], MeshMotion] = idle_motion) -> "MotionBlend":
        """Return a blend that continues from the state that `save` returned."""
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
