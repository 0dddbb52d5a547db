"""An engine that paints the number of its plate frame into each frame, and functions that read it from the program."""

import os
import time

import numpy as np
from numpy.typing import NDArray

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
from shared.avatar.plate import Plate
from shared.face import similarity
from shared.media.array_types import ImageArray

ENGINES = {"plated": "tests.support.engines.plate_engine:Plated"}
STALL = "PLATED_STALL_S"  # environment: seconds that every STALL_PERIOD-th frame takes
STALL_PERIOD = 120
BITS = [(128 + 64 * (bit % 4), 128 + 128 * (bit // 4)) for bit in range(8)]  # corner of each bit's cell in ROI pixels
CELL = (64, 128)


class Plated(FrameEngine):
    """Engine whose every frame belongs to one plate frame."""

    info = EngineInfo(name="plated", title="Plated", inputs=frozenset({"motion"}), output="region")

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "PlatedSession":
        return PlatedSession(avatar, context)


class PlatedSession(EngineSession):
    """Session without a state, except for a count of its frames."""

    def __init__(self, avatar: Avatar, context: SessionContext) -> None:
        self._plate_at = context.plate_at or avatar.plate.index
        self._stall, self._count = float(os.environ.get(STALL, "0")), 0

    def step(self, driving: Driving) -> list[RoiFrame]:
        self._count += 1
        if self._stall and self._count % STALL_PERIOD == 0:
            time.sleep(self._stall)
        index = self._plate_at(driving.pts)
        return [RoiFrame(driving.pts, painted(index) if self.draws else UNDRAWN, plate=index)]


def painted(index: int) -> NDArray[np.uint8]:
    """(512, 512, 4) uint8 RGBA: a light or a dark cell for each bit, and nothing around them."""
    roi = np.zeros((512, 512, 4), np.uint8)
    roi[96:416, 96:416] = (128, 128, 128, 255)
    for bit, (x, y) in enumerate(BITS):
        roi[y : y + CELL[1], x : x + CELL[0], :3] = 230 if index >> bit & 1 else 20
    return roi


def read_index(i420: ImageArray, plate: Plate, index: int) -> int:
    """Read the index that was painted into a program frame that shows plate frame `index`."""
    middles = [(x + CELL[0] / 2, y + CELL[1] / 2) for x, y in BITS]
    points = similarity.apply_similarity(plate.placements[index], middles)
    return sum(int(i420[round(y), round(x)] > 125) << bit for bit, (x, y) in enumerate(points))


def shows_plate(i420: ImageArray, plate: Plate, index: int, box: tuple[int, int, int, int]) -> bool:
    """Whether the luma outside of `box` (x, y, width, height) is that of plate frame `index`, to the bit."""
    x, y, width, height = box
    shown, wanted = i420[: plate.height].copy(), plate.frame(index)[: plate.height].copy()
    shown[y : y + height, x : x + width] = wanted[y : y + height, x : x + width] = 0
    return bool(np.array_equal(shown, wanted))
