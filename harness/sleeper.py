"""An engine with a fixed cost per frame, which sleeps and returns a grey card.

With it a benchmark measures the overhead of a render farm, independent of any model.
"""

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
COST = "SLEEPER_MS"  # environment variable: milliseconds per frame
ROI_SIDE_PX = 64


class Sleeper(FrameEngine):
    """The sleeping engine. Its frames are independent, so segments may be rendered in any order."""

    info = EngineInfo(name=NAME, title="Sleeper", inputs=frozenset({"motion"}), roi_size=ROI_SIDE_PX)

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "SleeperSession":
        return SleeperSession(float(os.environ.get(COST, "0")) / 1e3)


class SleeperSession(EngineSession):
    """Session that sleeps `cost` seconds per frame."""

    def __init__(self, cost: float) -> None:
        self._cost = cost

    def step(self, driving: Driving) -> list[RoiFrame]:
        return self.idle(driving.pts)

    def idle(self, pts: int) -> list[RoiFrame]:
        if not self.draws:
            return [RoiFrame(pts, UNDRAWN)]
        time.sleep(self._cost)
        return [RoiFrame(pts, np.full((ROI_SIDE_PX, ROI_SIDE_PX, 3), pts // 40_000 % 256, np.uint8))]
