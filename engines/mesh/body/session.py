"""The engine's session on a body video's own face. Each face is made for one plate frame, which it names."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.api import RATE_FPS, UNDRAWN, RoiFrame
from engines.body_source import BodySource
from engines.mesh.body.renderer import BodyRenderer
from engines.mesh.motion import REST, MeshMotion
from engines.mesh.session import EVERYTHING, MotionSession
from engines.mesh.speech.speech_motion import SpeechMotion
from shared.avatar.model import Avatar

CLOSING_S = 0.3  # time in which lips that are apart in the film close for a voice, and part again after it


class BodySession(MotionSession):
    """Session that moves only the lower face; head, eyes and body stay as filmed.

    A voice moves the mouth alone, and the mouth rests while the host waits. A motion driver adds its expression.
    """

    def __init__(self, avatar: Avatar, source: BodySource, rate: Fraction = RATE_FPS) -> None:
        self._source = source
        self._renderer = BodyRenderer(avatar, source)
        super().__init__(self._renderer.rest.face, rate, _as_filmed)
        self._ajar, self._step = 1.0, 1.0 / (CLOSING_S * float(rate))
        self._lower = self._renderer.lower.free[:, None].astype(np.float32)
        self._renderer.render(EVERYTHING, self._renderer.rest.frame)  # compiles now instead of on air

    def spoken(self, said: SpeechMotion) -> MeshMotion:
        self._ajar = float(np.clip(self._ajar + (self._step if said.waiting else -self._step), 0.0, 1.0))
        motion, ajar = said.motion, np.full(1, self._ajar, np.float32)
        return replace(REST, lips=motion.lips, seal=motion.seal, skin=motion.skin * self._lower, ajar=ajar)

    def idle(self, pts: int) -> list[RoiFrame]:
        self._ajar = 1.0
        return super().idle(pts)

    def reset(self) -> None:
        self._ajar = 1.0
        super().reset()

    def save(self) -> dict[str, NDArray[np.generic]]:
        return super().save() | {"ajar": np.array(self._ajar)}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        super().restore(state)
        self._ajar = float(np.float64(state["ajar"]))

    def frame(self, pts: int, motion: MeshMotion, waiting: bool = False) -> RoiFrame:
        index = self._source.plate_at(pts)
        return RoiFrame(pts, self._renderer.render(motion, index) if self.draws else UNDRAWN, waiting, index)


def _as_filmed(pts: int) -> MeshMotion:
    return REST
