"""The engine on a body's own face: its film speaks, and the plate frame under a face is the one it was made for."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from engines.api import RATE_FPS, UNDRAWN, RoiFrame
from engines.body_source import BodySource
from engines.mesh.body.renderer import BodyRenderer
from engines.mesh.motion import REST, MeshMotion
from engines.mesh.session import EVERYTHING, MotionSession
from shared.avatar.model import Avatar


class BodySession(MotionSession):
    """Head, eyes and body stay as filmed. A voice moves the mouth alone, and while the host waits it rests; a face on video
    adds its expression."""

    def __init__(self, avatar: Avatar, source: BodySource, rate: Fraction = RATE_FPS) -> None:
        self._source = source
        self._renderer = BodyRenderer(avatar, source)
        super().__init__(self._renderer.rest.face, rate, _as_filmed)
        self._lower = self._renderer.lower.free[:, None].astype(np.float32)
        self._renderer.render(EVERYTHING, self._renderer.rest.frame)  # compiled now, not on air

    def spoken(self, motion: MeshMotion) -> MeshMotion:
        return replace(REST, lips=motion.lips, seal=motion.seal, skin=motion.skin * self._lower)

    def frame(self, pts: int, motion: MeshMotion, waiting: bool = False) -> RoiFrame:
        index = self._source.plate_at(pts)
        return RoiFrame(pts, self._renderer.render(motion, index) if self.draws else UNDRAWN, waiting, index)


def _as_filmed(pts: int) -> MeshMotion:
    return REST
