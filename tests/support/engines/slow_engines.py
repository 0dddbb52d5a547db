"""Engines that are slow, or hard to open.

One keeps the interpreter busy until it may open, one never opens, some fail while they open or on air, one lacks its
weights, some never finish a frame, one has a ladder of qualities, one has little memory, one has calls that overlap,
and one plays motion templates without a network to draw them.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

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
    VoiceBlock,
)
from engines.liveportrait.motion.template import LivePortraitTemplate, TemplateFrame, parse_template
from engines.mesh.engine import INFO, MeshEngine
from engines.mesh.session import MeshSession
from engines.options import EngineOptions, titles
from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.errors import OutOfMemoryError, StudioError
from shared.wire.message import Message

GATE = "SLOW_ENGINE_GATE"  # environment: a file; the slow engine does not finish opening before the file exists
UNLUCKY = 13
RED = np.array([255, 0, 0], np.uint8)


def work(until: Callable[[], bool]) -> None:
    """Keep the interpreter busy, as importing and unpacking a model does."""
    count = 0
    while not until():
        count += sum(sum(range(1000)) for _ in range(100))


class RedSession(MeshSession):
    """The mesh engine's session with a red corner, by which tests recognise it."""

    def step(self, driving: Driving) -> list[RoiFrame]:
        return [marked(frame) for frame in super().step(driving)]

    def idle(self, pts: int) -> list[RoiFrame]:
        return [marked(frame) for frame in super().idle(pts)]


def marked(frame: RoiFrame) -> RoiFrame:
    pixels = frame.pixels.copy()
    pixels[:8, :8, :3] = RED
    return RoiFrame(frame.pts, pixels, frame.waiting)


class SlowEngine(MeshEngine):
    """Opens when the file that GATE names exists, or immediately without GATE. The settings give it another name."""

    info = replace(INFO, name="red", title="Red", inputs=frozenset({"motion"}))

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> MeshSession:
        work(Path(os.environ.get(GATE, "/")).exists)
        return RedSession(avatar, context.rate)


class BrokenEngine(MeshEngine):
    """Fails while it opens, after half a second, with an unexpected error."""

    info = replace(INFO, name="broken", title="Broken")

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> MeshSession:
        ends = time.monotonic() + 0.5
        work(lambda: time.monotonic() > ends)
        raise RuntimeError("no kernel image")


class FaultySession(EngineSession):
    """Fails as soon as the host waits."""

    def idle(self, pts: int) -> list[RoiFrame]:
        return [RoiFrame(round(pts / 0.0), UNDRAWN)]


class FaultyEngine(FrameEngine):
    """Opens, and fails on air."""

    info = EngineInfo(name="faulty", title="Faulty", inputs=frozenset({"motion", "voice"}))

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> EngineSession:
        return FaultySession()


class WaitingEngine(MeshEngine):
    """Is unavailable until the file that the environment names exists."""

    info = replace(INFO, name="waiting", title="Waiting", inputs=frozenset({"motion"}))

    def probe(self) -> Unavailable | None:
        there = Path(os.environ.get("TEST_WEIGHTS", "/nowhere")).is_file()
        return None if there else Unavailable("Waiting's weights are missing; `studio weights pull waiting` gets them.")

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> MeshSession:
        return RedSession(avatar, context.rate)


class PlayingSession(MeshSession):
    """At rest, with a corner whose colour follows from the frame of recorded motion."""

    def step(self, driving: Driving) -> list[RoiFrame]:
        if not isinstance(driving.recorded, TemplateFrame):
            return super().step(driving)
        pixels = np.zeros((ROI_SIZE_PX, ROI_SIZE_PX, 3), np.uint8)
        pixels[:8, :8] = np.abs(driving.recorded.motion.exp[0] * 60).astype(np.uint8)
        return [RoiFrame(driving.pts, pixels)]


class PlayingEngine(MeshEngine):
    """Plays LivePortrait's templates, and needs nothing of LivePortrait's for that."""

    info = replace(INFO, name="playing", title="Playing", inputs=frozenset({"motion", "template"}))
    template_suffixes = frozenset({".npz", ".pkl"})

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> MeshSession:
        return PlayingSession(avatar, context.rate)

    def read_template(self, path: Path) -> LivePortraitTemplate:
        return parse_template(path)


class HeavySession(RedSession):
    """Draws its first frame quickly, which is tried while the engine opens.

    It never finishes another one, but uses no processor time for that. under_way: set when another one has begun.
    released: set by a test at its end, so that the threads end.
    """

    tried = False
    under_way, released = threading.Event(), threading.Event()

    def step(self, driving: Driving) -> list[RoiFrame]:
        if self.tried:
            self._wait()
        self.tried = True
        return super().step(driving)

    def idle(self, pts: int) -> list[RoiFrame]:
        self._wait()
        return super().idle(pts)

    def _wait(self) -> None:
        self.under_way.set()
        self.released.wait()


class HeavyEngine(MeshEngine):
    """Never finishes a frame."""

    info = replace(INFO, name="heavy", title="Heavy", inputs=frozenset({"motion"}))

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> MeshSession:
        return HeavySession(avatar, context.rate)


class DrawlSession(RedSession):
    """Answers its first block of voice quickly, which is tried while the engine opens, and never another one."""

    tried = False

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        if self.tried:
            HeavySession.under_way.set()
            HeavySession.released.wait()
        self.tried = True
        return super().hear(block)


class DrawlEngine(MeshEngine):
    """Driven by a voice that it never answers."""

    info = replace(INFO, name="drawl", title="Drawl", inputs=frozenset({"voice"}))

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> MeshSession:
        return DrawlSession(avatar, context.rate)


class StuckEngine(HeavyEngine):
    """Never finishes its first frame."""

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> MeshSession:
        session = HeavySession(avatar, context.rate)
        session.tried = True
        return session


class LadderOptions(EngineOptions):
    """quality: taken over on air. seed: not so; there is no 13."""

    quality: Literal["auto", "full", "half"] = Field(
        "auto", json_schema_extra=titles({"auto": "automatic", "full": "512 pixels", "half": "256 pixels"})
    )
    seed: int = Field(0, ge=0, le=99, description="of nothing")


class LadderSession(RedSession):
    """Has two qualities, and memory for the lower one only; while `taken`, for neither.

    options: those of its opening. applied: qualities that were applied since.
    """

    taken = False

    def __init__(self, avatar: Avatar, rate: Fraction, options: LadderOptions) -> None:
        super().__init__(avatar, rate)
        self.options = options
        self.applied: list[str] = []
        self._stand_on(options)

    def step(self, driving: Driving) -> list[RoiFrame]:
        self._need()
        return super().step(driving)

    def idle(self, pts: int) -> list[RoiFrame]:
        self._need()
        return super().idle(pts)

    def _need(self) -> None:
        if self.quality == "full" or self.taken:
            raise OutOfMemoryError("The GPU has too little memory.")

    def _stand_on(self, options: LadderOptions) -> None:
        self.quality, self.adjusts = options.quality, options.quality == "auto"
        if self.adjusts:
            self.quality = "full"

    def apply(self, options: EngineOptions) -> bool:
        assert isinstance(options, LadderOptions)
        if options.seed != self.options.seed:
            return False
        self._stand_on(options)
        self.applied.append(options.quality)
        return True

    def lower(self) -> str | None:
        if self.quality == "half":
            return None
        self.quality = "half"
        return "Ladder goes on with half."


class LadderEngine(MeshEngine):
    """Steps down to the lower quality while it opens."""

    info = replace(INFO, name="ladder", title="Ladder", inputs=frozenset({"motion"}))
    Options = LadderOptions

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> MeshSession:
        options = context.options or self.options()
        assert isinstance(options, LadderOptions)
        if options.seed == UNLUCKY:
            raise StudioError("Ladder has no seed 13.")
        return LadderSession(avatar, context.rate, options)


class TightEngine(MeshEngine):
    """Has too little memory to open, except with `low_memory`."""

    info = replace(INFO, name="tight", title="Tight", inputs=frozenset({"motion"}))

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> MeshSession:
        if not context.low_memory:
            raise OutOfMemoryError("The GPU has too little memory.")
        return RedSession(avatar, context.rate)


class OverlappingSession(EngineSession):
    """Takes four frames a call, which begins after `begins` seconds and has its frames `waits` seconds later.

    gate: frames are held back until it is set. breaks: errors that waiting for the frames of a call raises, one each.
    outstanding: calls without their frames yet; most: the most of them when another call began; overlapped: how often
    there were any then.
    """

    def __init__(self, begins: float = 0.0, waits: float = 0.0) -> None:
        self.begins, self.waits = begins, waits
        self.gate = threading.Event()
        self.gate.set()
        self.breaks: list[Exception] = []
        self.outstanding = self.most = self.overlapped = 0
        self._held: list[int] = []

    def begin(self, driving: Driving) -> Callable[[], list[RoiFrame]] | None:
        self._held.append(driving.pts)
        if len(self._held) < 4:
            return None
        held, self._held = self._held, []
        self.most = max(self.most, self.outstanding)
        self.overlapped += self.outstanding > 0
        self.outstanding += 1
        time.sleep(self.begins)
        return lambda: self._frames(held)

    def _frames(self, held: list[int]) -> list[RoiFrame]:
        time.sleep(self.waits)
        self.gate.wait()
        self.outstanding -= 1
        if self.breaks:
            raise self.breaks.pop()
        return [RoiFrame(pts, np.zeros((4, 4, 3), np.uint8)) for pts in held]

    def reset(self) -> None:
        self._held = []


ENGINES = {
    "slow": "tests.support.engines.slow_engines:SlowEngine",
    "broken": "tests.support.engines.slow_engines:BrokenEngine",
    "faulty": "tests.support.engines.slow_engines:FaultyEngine",
    "waiting": "tests.support.engines.slow_engines:WaitingEngine",
    "playing": "tests.support.engines.slow_engines:PlayingEngine",
    "heavy": "tests.support.engines.slow_engines:HeavyEngine",
    "drawl": "tests.support.engines.slow_engines:DrawlEngine",
    "stuck": "tests.support.engines.slow_engines:StuckEngine",
    "ladder": "tests.support.engines.slow_engines:LadderEngine",
    "tight": "tests.support.engines.slow_engines:TightEngine",
    "absent": "tests.services.generator.nothing_here:Engine",
}


def red(message: Message) -> bool:
    return bool((message.array[:8, :8, :3] == RED).all())
