"""An engine of fixed cost per frame: it sleeps, and shows a card. It measures what a farm adds, not a model."""

import os
import time

import numpy as np

from engines.api import (
    DEFAULT_CONTEXT,
    UNDRAWN,
    Driving,
    EngineInfo,
    EngineSession,
    FrameEngine,
    RoiFrame,
    SessionContext,
)
from shared.avatar.model import Avatar

NAME = "sleeper"
ENGINES = {NAME: "harness.sleeper:Sleeper"}  # for the setting `engines`
COST = "SLEEPER_MS"  # environment: milliseconds a frame
ROI_SIDE_PX = 64


class Sleeper(FrameEngine):
    """Stateless, so that its segments may be rendered in any order."""

    info = EngineInfo(name=NAME, title="Sleeper", inputs=frozenset({"motion"}), roi_size=ROI_SIDE_PX)

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "SleeperSession":
        return SleeperSession(float(os.environ.get(COST, "0")) / 1e3)


class SleeperSession(EngineSession):
    """Sleeps `cost` seconds a frame."""

    def __init__(self, cost: float) -> None:
        self._cost = cost

    def step(self, driving: Driving) -> list[RoiFrame]:
        return self.idle(driving.pts)

    def idle(self, pts: int) -> list[RoiFrame]:
        if not self.draws:
            return [RoiFrame(pts, UNDRAWN)]
        time.sleep(self._cost)
        return [RoiFrame(pts, np.full((ROI_SIDE_PX, ROI_SIDE_PX, 3), pts // 40_000 % 256, np.uint8))]
