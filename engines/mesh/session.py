"""Sessions of the mesh engine: motion and voice in, frames of a portrait or of a body's own face out."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.api import RATE_FPS, UNDRAWN, Driving, EngineSession, RoiFrame, VoiceBlock
from engines.mesh.motion import REST, MeshMotion, idle_motion
from engines.mesh.motion_blend import MotionBlend
from engines.mesh.speech.speech_motion import Speaker, SpeechMotion
from shared.avatar.model import Avatar
from shared.face.landmarks import Face

# A motion that takes every path through the engine: blinking, looking aside, speaking.
EVERYTHING = replace(
    REST, lids=np.zeros(2, np.float32), gaze=np.full(2, 0.02, np.float32), lips=np.full(9, 0.1, np.float32)
)


class MotionSession(EngineSession):
    """Session that keeps the easing between motions and the voice heard so far. Not thread-safe."""

    def __init__(self, face: Face, rate: Fraction, waiting: Callable[[int], MeshMotion] = idle_motion) -> None:
        """Start at rest.

        face: the face that speaks, at rest. waiting: returns the motion of a waiting host at a pts.
        """
        self._waiting = waiting
        self._easing = MotionBlend(waiting)
        self._speaker = Speaker(face, rate)

    @abstractmethod
    def frame(self, pts: int, motion: MeshMotion, waiting: bool = False) -> RoiFrame:
        """Return the frame that shows this motion; see `RoiFrame`."""

    def spoken(self, said: SpeechMotion) -> MeshMotion:
        """Return the part of a voice's motion that this session shows, tick by tick."""
        return said.motion

    def step(self, driving: Driving) -> list[RoiFrame]:
        """Return one frame. Without a face or a neutral the last motion is held."""
        return [self.frame(driving.pts, self._easing.drive(driving))]

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        return self._speak(self._speaker.hear(block))

    def idle(self, pts: int) -> list[RoiFrame]:
        return [self.frame(pts, self._easing.idle(pts))]

    def flush(self) -> list[RoiFrame]:
        return self._speak(self._speaker.flush())

    def reset(self) -> None:
        self._easing = MotionBlend(self._waiting)
        self._speaker.reset()

    def save(self) -> dict[str, NDArray[np.generic]]:
        return self._easing.save() | {f"voice_{name}": value for name, value in self._speaker.save().items()}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        self._easing = MotionBlend.restored(state, self._waiting)
        self._speaker.restore(
            {name.removeprefix("voice_"): value for name, value in state.items() if name.startswith("voice_")}
        )

    def _speak(self, said: list[SpeechMotion]) -> list[RoiFrame]:
        return [self.frame(each.pts, self._easing.speak(each.pts, self.spoken(each)), each.waiting) for each in said]


class MeshSession(MotionSession):
    """The engine's session on an avatar's portrait."""

    def __init__(self, avatar: Avatar, rate: Fraction = RATE_FPS) -> None:
        from engines.mesh.renderer import MeshRenderer

        super().__init__(avatar.face, rate)
        self._renderer = MeshRenderer(avatar)
        self._renderer.render(EVERYTHING)  # compiles here everything that is compiled on first use, not on air

    def frame(self, pts: int, motion: MeshMotion, waiting: bool = False) -> RoiFrame:
        return RoiFrame(pts, self._renderer.render(motion) if self.draws else UNDRAWN, waiting)
