"""The `mesh` engine: opens an avatar, turns driving frames into ROI frames."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.api import (
    DEFAULT_CONTEXT,
    RATE_FPS,
    UNDRAWN,
    Driving,
    EngineInfo,
    EngineSession,
    FrameEngine,
    PrepareProgress,
    RoiFrame,
    SessionContext,
    VoiceBlock,
    no_progress,
)
from engines.mesh.motion import REST, MeshMotion
from engines.mesh.motion_blend import MotionBlend
from engines.mesh.speech.speech_motion import VOICE_AHEAD_US, Speaker, SpeechMotion
from engines.mesh.tracker_calibration import FILE, read_calibration
from shared.avatar.model import Avatar

INFO = EngineInfo(
    name="mesh",
    title="Mesh warp",
    inputs=frozenset({"motion", "voice"}),
    depends_on="motion",
    voice_ahead_us=VOICE_AHEAD_US,
)

# A motion that takes every path through the engine: blinking, looking aside, speaking.
EVERYTHING = replace(
    REST, lids=np.zeros(2, np.float32), gaze=np.full(2, 0.02, np.float32), lips=np.full(9, 0.1, np.float32)
)


class MeshEngine(FrameEngine):
    """Moves the portrait's own face mesh. Needs no weights, runs on any CPU."""

    info = INFO

    def prepare(self, avatar: Avatar, progress: PrepareProgress = no_progress) -> None:
        """Measure how a tracker reads the portrait's own images, which takes a third of a second once."""
        if read_calibration(avatar.engine_file(INFO.name, FILE)) is None:
            progress(0, 1)
            MeshSession(avatar)
            progress(1, 1)

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "MeshSession":
        return MeshSession(avatar, context.rate)


class MeshSession(EngineSession):
    """The engine on one avatar. Carries what eases one motion into the next, and what was heard of a voice. Not
    thread-safe."""

    def __init__(self, avatar: Avatar, rate: Fraction = RATE_FPS) -> None:
        from engines.mesh.renderer import MeshRenderer

        self._renderer = MeshRenderer(avatar)
        self._easing = MotionBlend()
        self._speaker = Speaker(avatar.face, rate)
        self._renderer.render(EVERYTHING)  # what is compiled on first use is compiled now, not on air

    def step(self, driving: Driving) -> list[RoiFrame]:
        """One frame. Without a face or a neutral the last motion is held."""
        return self._frame(driving.pts, self._easing.drive(driving))

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        return self._speak(self._speaker.hear(block))

    def idle(self, pts: int) -> list[RoiFrame]:
        return self._frame(pts, self._easing.idle(pts))

    def flush(self) -> list[RoiFrame]:
        return self._speak(self._speaker.flush())

    def reset(self) -> None:
        self._easing = MotionBlend()
        self._speaker.reset()

    def save(self) -> dict[str, NDArray[np.generic]]:
        return self._easing.save() | {f"voice_{name}": value for name, value in self._speaker.save().items()}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        self._easing = MotionBlend.restored(state)
        self._speaker.restore(
            {name.removeprefix("voice_"): value for name, value in state.items() if name.startswith("voice_")}
        )

    def _speak(self, said: list[SpeechMotion]) -> list[RoiFrame]:
        return [
            RoiFrame(each.pts, self._pixels(self._easing.speak(each.pts, each.motion)), each.waiting) for each in said
        ]

    def _frame(self, pts: int, motion: MeshMotion) -> list[RoiFrame]:
        return [RoiFrame(pts, self._pixels(motion))]

    def _pixels(self, motion: MeshMotion) -> NDArray[np.uint8]:
        return self._renderer.render(motion) if self.draws else UNDRAWN
