"""A clip engine that takes hardly any time.

One unit makes grey levels, two units make a half of the frames each, and the last one makes the clip.

The engine is reached by the setting `engines`, as a user's own is. Files in the folder of ORDERS give its units further
orders.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engines.api import EngineInfo
from engines.clip import CLIP_FILE, Clip, ClipEngine, Estimate, RunContext
from shared.errors import OutOfMemoryError
from shared.jobs.graph import UnitSpec
from shared.media.reader import Mp4Writer
from tests.support.engines.job_engines import ORDERS, ordered

UNITS = (UnitSpec("a"), UnitSpec("b", ("a",), 3.0), UnitSpec("c", ("a",), 4.0), UnitSpec("d", ("b", "c"), 2.0))
STEPS = 20  # of each unit but the last
RATE_FPS = 5.0  # rate that its estimate claims
LEVEL_STEP, LOWEST_LEVEL = 3, 40
ENGINES = {"clip": "tests.support.engines.clip_engine:GreyClip"}


def level(tick: int) -> int:
    """Return the grey level of a frame."""
    return LOWEST_LEVEL + LEVEL_STEP * tick % 180


class GreyClip(ClipEngine):
    """Frame n is grey of `level(n)` all over."""

    info = EngineInfo(
        name="clip",
        title="Grey clip",
        inputs=frozenset({"voice", "motion"}),
        modes=frozenset({"offline"}),
        output="frame",
    )

    def __init__(self) -> None:
        super().__init__()
        self._loaded = False

    def units(self, clip: Clip) -> Sequence[UnitSpec]:
        return (*UNITS, UnitSpec("stray")) if ordered("stray") is not None else UNITS

    def estimate(self, clip: Clip) -> Estimate:
        return Estimate(
            work=clip.ticks, rate=RATE_FPS, unit="frames", memory=2_000_000_000, disk=1_000_000 * clip.ticks
        )

    def run(self, unit: UnitSpec, clip: Clip, context: RunContext) -> None:
        self._load()
        if unit.name == "d":
            self._write(clip, context)
            return
        for step in range(STEPS):
            self._obey(unit.name, step, context)
            preview = np.full((clip.size[1], clip.size[0], 3), 8 * step, np.uint8)
            context.progress(step + 1, STEPS, preview)
        levels = np.array([level(tick) for tick in range(clip.ticks)])
        if unit.name != "a":
            levels = np.load(context.made("a") / "levels.npy")
            levels[np.arange(clip.ticks) % 2 == (unit.name == "b")] = 0
        folder = context.scratch / "half" if unit.name != "a" else context.scratch
        folder.mkdir(exist_ok=True)
        np.save(folder / "levels.npy", levels)

    def _write(self, clip: Clip, context: RunContext) -> None:
        levels = sum(np.load(context.made(half) / "half" / "levels.npy") for half in ("b", "c"))
        width, height = (int(side) for side in (ordered("size") or "{} {}".format(*clip.size)).split())
        with Mp4Writer(
            context.scratch / (ordered("name") or CLIP_FILE), width, height, clip.rate, sound=False
        ) as writer:
            for tick, grey in enumerate(levels[: int(ordered("short") or clip.ticks)]):
                self._obey("d", tick, context)
                i420 = np.full((height * 3 // 2, width), 128, np.uint8)
                i420[:height] = grey
                writer.frame(i420, index=tick)
                context.progress(tick + 1, clip.ticks)

    def _load(self) -> None:
        """Stand in for loading a model: write a line each time it is loaded."""
        if self._loaded or ORDERS not in os.environ:
            return
        self._loaded = True
        with Path(os.environ[ORDERS], "loads").open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")

    def _obey(self, unit: str, step: int, context: RunContext) -> None:
        time.sleep(float(ordered(f"sleep-{unit}") or 0))
        if step != STEPS // 2:
            return
        if (said := ordered(f"fail-{unit}")) is not None:
            raise RuntimeError(said)
        if ordered(f"memory-{unit}") is not None and not context.low_memory:
            raise OutOfMemoryError("The grey has too little memory.")
        if ordered(f"die-{unit}") is not None:
            os._exit(9)
        if ordered(f"read-{unit}") is not None:
            context.made("c")
        while ordered(f"check-{unit}") is not None:  # waits, and is ready to stop
            context.raise_if_cancelled()
            time.sleep(0.05)
        while ordered(f"deaf-{unit}") is not None:  # waits, and never checks whether to stop
            time.sleep(0.05)
