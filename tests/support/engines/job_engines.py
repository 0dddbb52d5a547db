"""Engines for tests of jobs: they fail on command, take as long as they are ordered, or depend on what they have drawn.

They are reached as a user's own engines are: by the setting `engines`.
"""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic_settings import SettingsConfigDict

from engines.api import (
    DEFAULT_CONTEXT,
    UNDRAWN,
    Driving,
    EngineInfo,
    EngineSession,
    FrameEngine,
    RoiFrame,
    SessionContext,
    Unavailable,
)
from engines.liveportrait.motion.template import LivePortraitTemplate, TemplateFrame, parse_template
from engines.options import EngineOptions
from engines.settings import EngineSettings
from shared.avatar.model import Avatar
from shared.errors import OutOfMemoryError
from shared.face.landmarks import SURFACE

INFO = EngineInfo(name="card", title="Test card", inputs=frozenset({"motion"}), roi_size=64, depends_on="motion")
# The environment names a folder in which tests leave orders for the engines in the workers: a file's name is the order.
ORDERS = "FARM_TEST_ORDERS"
ENGINES = {
    name: f"tests.support.engines.job_engines:{name.title()}" for name in ("card", "seer", "chain", "player", "dyed")
}


def ordered(name: str) -> str | None:
    """Return the content of an order, None if it was not given."""
    path = Path(os.environ.get(ORDERS, "/nonexistent")) / name
    return path.read_text(encoding="utf-8") if path.exists() else None


class Card(FrameEngine):
    """Draws its own state: a sum over everything it was shown. The state depends on motion."""

    info = INFO

    def probe(self) -> Unavailable | None:
        reason = ordered("unavailable")
        return None if reason is None else Unavailable(reason)

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "JobSession":
        return JobSession(self.info, context.low_memory)


class Seer(Card):
    """`Card` that also reads the driver's frame."""

    info = replace(INFO, name="seer", needs_image=True)


class Chain(Card):
    """`Card` whose state changes only by drawing, and whose frames come out two ticks late."""

    info = replace(INFO, name="chain", depends_on="frames", frames_held=2)


class Player(Card):
    """`Card` that also plays LivePortrait's motion templates."""

    info = replace(INFO, name="player", inputs=frozenset({"motion", "template"}))
    template_suffixes = frozenset({".npz", ".pkl"})

    def read_template(self, path: Path) -> LivePortraitTemplate:
        return parse_template(path)


class DyedOptions(EngineOptions):
    """Which blue, and how much of it."""

    blue: int = 10
    quality: Literal["deep", "pale"] = "deep"


class DyedSettings(EngineSettings, DyedOptions):
    """threads: how it runs here."""

    TABLE: ClassVar[str] = "dyed"
    model_config = SettingsConfigDict(env_prefix="STUDIO_DYED_")

    threads: int = 1


class Dyed(Card):
    """`Card` in the blue that its own options choose."""

    info = replace(INFO, name="dyed", title="Dyed card")
    Settings = DyedSettings
    Options = DyedOptions

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "JobSession":
        options = context.options or self.options()
        assert isinstance(options, DyedOptions)
        return JobSession(self.info, context.low_memory, options.blue + 100 * (options.quality == "pale"))


class JobSession(EngineSession):
    """State: how many ticks it has seen, and a sum over their points."""

    def __init__(self, info: EngineInfo, small: bool, blue: int = 255) -> None:
        self._info, self._small, self._blue = info, small, blue
        self._seen, self._sum = 0, 0.0
        self._held: list[RoiFrame] = []

    def step(self, driving: Driving) -> list[RoiFrame]:
        self._seen += 1
        if driving.face is not None:
            self._sum += float(driving.face.points[:SURFACE, 1].mean())
        if isinstance(driving.recorded, TemplateFrame):
            self._sum += float(driving.recorded.motion.exp.sum())
        if self._info.needs_image and driving.frame is not None:
            self._sum += float(driving.frame.mean())
        if self.draws or self._info.depends_on == "frames":
            self._obey(driving.pts)
        self._held.append(RoiFrame(driving.pts, self._card()))
        late = self._info.frames_held
        ready, self._held = self._held[: len(self._held) - late], self._held[len(self._held) - late :]
        return ready

    def flush(self) -> list[RoiFrame]:
        held, self._held = self._held, []
        return held

    def reset(self) -> None:
        self._seen, self._sum, self._held = 0, 0.0, []

    def save(self) -> dict[str, NDArray[np.generic]]:
        pixels = np.stack([f.pixels for f in self._held]) if self._held else np.zeros((0, 64, 64, 3), np.uint8)
        pts = np.array([f.pts for f in self._held], np.int64)
        return {"seen": np.array(self._seen), "sum": np.array(self._sum), "held": pixels, "held_pts": pts}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        self._seen, self._sum = int(state["seen"]), float(state["sum"])
        held = zip(state["held_pts"], state["held"], strict=True)
        self._held = [RoiFrame(int(pts), np.asarray(pixels, np.uint8)) for pts, pixels in held]

    def _card(self) -> NDArray[np.uint8]:
        if not self.draws and self._info.depends_on != "frames":
            return UNDRAWN
        card = np.zeros((64, 64, 3), np.uint8)
        card[:, :, 0] = self._seen * 5 % 256
        card[:, :, 1] = int(self._sum * 7) % 256
        card[:, : self._seen % 64, 2] = self._blue
        return card

    def _obey(self, pts: int) -> None:
        tick = str(pts // 40_000)
        time.sleep(float(ordered("sleep") or 0))
        if (at := ordered("fail")) and tick in at.split():
            raise RuntimeError(f"told to fail at tick {tick}")
        if (at := ordered("memory")) and tick in at.split() and not (self._small and ordered("small-fits") is not None):
            raise OutOfMemoryError("The card has too little memory.")
        if (at := ordered("die")) and tick in at.split():
            os._exit(9)
        if ordered("hang") and tick in (ordered("hang") or "").split():
            time.sleep(3600)
