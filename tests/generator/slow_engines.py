"""Engines that are hard to open: one takes seconds of plain Python, one breaks, one waits for its weights. And one that
plays motion templates without a network to draw them."""

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from services.generator.engine import RATE, Driving, RoiFrame
from services.generator.engines.liveportrait.template import Played, Template, read_template
from services.generator.engines.mesh.engine import SPEC, MeshEngine, MeshSession
from shared.avatar import ROI_SIZE, Avatar

OPENING = 3.0  # seconds
RED = np.array([255, 0, 0], np.uint8)


def work(seconds: float) -> None:
    """Keep the interpreter busy, as importing and unpacking a model does."""
    ends, count = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        count += sum(range(1000))


class RedSession(MeshSession):
    """The mesh with a red corner, to be told by."""

    def step(self, driving: Driving) -> list[RoiFrame]:
        return [marked(frame) for frame in super().step(driving)]

    def idle(self, pts: int) -> list[RoiFrame]:
        return [marked(frame) for frame in super().idle(pts)]


def marked(frame: RoiFrame) -> RoiFrame:
    pixels = frame.pixels.copy()
    pixels[:8, :8, :3] = RED
    return RoiFrame(frame.pts, pixels, frame.waiting)


class SlowEngine(MeshEngine):
    """Takes its time to open. Its name in the settings need not be its own."""

    spec = replace(SPEC, name="red", title="Red", driven_by=frozenset({"motion"}))

    def open(self, avatar: Avatar, rate: Fraction = RATE, small: bool = False) -> MeshSession:
        work(OPENING)
        return RedSession(avatar, rate)


class BrokenEngine(MeshEngine):
    """Breaks while it opens, after a while, in a way that nobody foresaw."""

    spec = replace(SPEC, name="broken", title="Broken")

    def open(self, avatar: Avatar, rate: Fraction = RATE, small: bool = False) -> MeshSession:
        work(0.5)
        raise RuntimeError("no kernel image")


class WaitingEngine(MeshEngine):
    """Lacks a file, which the environment names."""

    spec = replace(SPEC, name="waiting", title="Waiting", driven_by=frozenset({"motion"}))

    def unavailable(self) -> str | None:
        there = Path(os.environ.get("TEST_WEIGHTS", "/nowhere")).is_file()
        return None if there else "Waiting's weights are missing; `studio weights pull waiting` gets them."

    def open(self, avatar: Avatar, rate: Fraction = RATE, small: bool = False) -> MeshSession:
        return RedSession(avatar, rate)


class PlayingSession(MeshSession):
    """At rest, with a corner whose colour follows from the frame of recorded motion."""

    def step(self, driving: Driving) -> list[RoiFrame]:
        if not isinstance(driving.recorded, Played):
            return super().step(driving)
        pixels = np.zeros((ROI_SIZE, ROI_SIZE, 3), np.uint8)
        pixels[:8, :8] = np.abs(driving.recorded.motion.exp[0] * 60).astype(np.uint8)
        return [RoiFrame(driving.pts, pixels)]


class PlayingEngine(MeshEngine):
    """Plays LivePortrait's templates, and needs nothing of LivePortrait's for that."""

    spec = replace(SPEC, name="playing", title="Playing", driven_by=frozenset({"motion", "template"}))

    def open(self, avatar: Avatar, rate: Fraction = RATE, small: bool = False) -> MeshSession:
        return PlayingSession(avatar, rate)

    def read_template(self, path: Path) -> Template:
        return read_template(path)

    def record(self, frames: Iterable[Driving], rate: Fraction) -> Template:
        raise NotImplementedError


ENGINES = {
    "slow": "tests.generator.slow_engines:SlowEngine",
    "broken": "tests.generator.slow_engines:BrokenEngine",
    "waiting": "tests.generator.slow_engines:WaitingEngine",
    "playing": "tests.generator.slow_engines:PlayingEngine",
    "absent": "tests.generator.nothing_here:Engine",
}
