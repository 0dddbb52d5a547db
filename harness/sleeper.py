"""An engine of fixed cost per frame: it sleeps, and shows a card. It measures what a farm adds, not a model."""

import os
import time
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.api import RATE_FPS, UNDRAWN, Driving, EngineSpec, RoiFrame, VoiceBlock
from shared.avatar.model import Avatar

NAME = "sleeper"
ENGINES = {NAME: "harness.sleeper:Sleeper"}  # for the setting `engines`
COST = "SLEEPER_MS"  # environment: milliseconds a frame
ROI_SIDE_PX = 64


class Sleeper:
    """Stateless, so that its segments may be rendered in any order."""

    spec = EngineSpec(
        name=NAME, title="Sleeper", driven_by=frozenset({"motion"}), frames_per_step=1, look_ahead=0,
        sees=False, carries="nothing", voice_ahead=0,
    )  # fmt: skip

    def unavailable(self) -> str | None:
        return None

    def open(self, avatar: Avatar, rate: Fraction = RATE_FPS, small: bool = False) -> "SleeperSession":
        return SleeperSession(float(os.environ.get(COST, "0")) / 1e3)


class SleeperSession:
    """Sleeps `cost` seconds a frame."""

    def __init__(self, cost: float) -> None:
        self.draws = True
        self._cost = cost

    def step(self, driving: Driving) -> list[RoiFrame]:
        return self.idle(driving.pts)

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        return []

    def idle(self, pts: int) -> list[RoiFrame]:
        if not self.draws:
            return [RoiFrame(pts, UNDRAWN)]
        time.sleep(self._cost)
        return [RoiFrame(pts, np.full((ROI_SIDE_PX, ROI_SIDE_PX, 3), pts // 40_000 % 256, np.uint8))]

    def flush(self) -> list[RoiFrame]:
        return []

    def reset(self) -> None:
        pass

    def save(self) -> dict[str, NDArray[np.generic]]:
        return {}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        pass
