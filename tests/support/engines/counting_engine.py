"""An engine that takes hardly any time, driven by voice: each frame shows its number, which is the engine's state."""

import os
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.api import (
    DEFAULT_CONTEXT,
    UNDRAWN,
    EngineInfo,
    EngineSession,
    FrameEngine,
    RoiFrame,
    SessionContext,
    Unavailable,
    VoiceBlock,
)
from shared.avatar.model import Avatar
from shared.runtime.clock import SOUND_RATE_HZ, US, tick_pts

CARD = "FARM_TEST_CARD"
SLOW = "FARM_TEST_SLOW"  # a file: while it exists, each of these frames takes so long, and the last one never ends
SLOW_FRAMES, SLOW_FRAME_S = range(20, 40), 0.4
ROI_SIDE_PX = 64


class Counter(FrameEngine):
    """The engine. It is reached by the setting `engines`, as a user's own is."""

    info = EngineInfo(
        name="counter", title="Counter", inputs=frozenset({"voice"}), roi_size=ROI_SIDE_PX, depends_on="motion"
    )

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "CountingSession":
        return CountingSession(context.rate)


class Elsewhere(Counter):
    """`Counter` that runs only where a variable is set, as other engines run only where there is a GPU."""

    info = replace(Counter.info, name="elsewhere", title="Elsewhere")

    def probe(self) -> Unavailable | None:
        return None if os.environ.get(CARD) else Unavailable("Elsewhere needs a card; add one.")


class CountingSession(EngineSession):
    """State: the number of the next frame."""

    def __init__(self, rate: Fraction) -> None:
        self._rate, self._next, self._heard = rate, 0, 0

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        self._heard = block.pts + len(block.samples) * US // SOUND_RATE_HZ
        frames = []
        while (pts := tick_pts(self._next, self._rate)) < self._heard:
            frames.append(RoiFrame(pts, self._draw()))
            self._next += 1
        return frames

    def reset(self) -> None:
        self._next, self._heard = 0, 0

    def save(self) -> dict[str, NDArray[np.generic]]:
        return {"next": np.array(self._next)}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        self._next = int(state["next"])

    def _draw(self) -> NDArray[np.uint8]:
        if not self.draws:
            return UNDRAWN
        if self._next in SLOW_FRAMES and _is_slow():
            time.sleep(SLOW_FRAME_S)
        while self._next == SLOW_FRAMES[-1] and _is_slow():
            time.sleep(0.02)
        frame = np.full((ROI_SIDE_PX, ROI_SIDE_PX, 3), 40, np.uint8)
        frame[:, : 1 + self._next % ROI_SIDE_PX] = (200, self._next * 3 % 256, 90)
        return frame


def _is_slow() -> bool:
    return os.path.exists(os.environ.get(SLOW, ""))
