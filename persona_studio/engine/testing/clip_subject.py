"""A clip engine under test, whose units are run one after another on a short driver."""

import wave
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from engines.api import Input
from engines.clip import CLIP_FILE, Clip, ClipEngine, RunContext
from persona_studio.engine.testing.subject import BODY_FRAMES, BrokenRuleError, EngineSubject, folder, require
from shared.avatar.samples import sample_portrait, write_body_video
from shared.face.scripted import voice
from shared.jobs.graph import UnitSpec
from shared.runtime.clock import SOUND_RATE_HZ

SIZE = (160, 120)
RATE_FPS = 25


class Asked(Exception):
    """Raised in a unit to stop it, like the studio's own exception for cancellation."""


class ClipSubject(EngineSubject[ClipEngine]):
    """A clip engine with a driver of half a second: a swaying face or scripted speech."""

    kind = ClipEngine

    @cached_property
    def clip(self) -> Clip:
        """The clip that the engine has to make."""
        driven: Input = "voice" if "voice" in self.info.inputs else "motion"
        driver = folder() / ("voice.wav" if driven == "voice" else "face.mp4")
        if driven == "voice":
            with wave.open(str(driver), "wb") as file:
                file.setparams((1, 2, SOUND_RATE_HZ, 0, "NONE", ""))
                file.writeframes(voice(BODY_FRAMES / RATE_FPS).tobytes())
        else:
            write_body_video(driver, sample_portrait(), BODY_FRAMES)
        return Clip(
            avatar=self.avatar,
            driver=driver,
            driven=driven,
            rate=Fraction(RATE_FPS),
            ticks=BODY_FRAMES,
            size=SIZE,
            options=self.engine.options(),
        )

    def units(self) -> Sequence[UnitSpec]:
        """Return the units that the engine declares. Raises SkipTest if it cannot run on this machine."""
        self.check_available()
        return self.engine.units(self.clip)


class UnitRun:
    """Runs units one after another, each in an empty folder. steps: the progress that each unit reported."""

    def __init__(self, subject: ClipSubject) -> None:
        self.subject, self.folders = subject, dict[str, Path]()
        self.steps: dict[str, list[tuple[int, int]]] = {}

    def do(self, unit: UnitSpec, engine: ClipEngine, stops: bool = False) -> None:
        """Run a unit by `engine`. stops: raise `Asked` when it first reports progress or asks whether to stop."""
        scratch, steps = folder(), list[tuple[int, int]]()

        def ask() -> None:
            if stops:
                raise Asked

        def report(done: int, total: int, preview: Any = None) -> None:
            steps.append((done, total))
            ask()

        def made(name: str) -> Path:
            if name not in unit.needs:
                raise BrokenRuleError(f"Unit {unit.name} reads {name}, which is not among its needs.")
            return self.folders[name]

        engine.run(
            unit, self.subject.clip, RunContext(scratch=scratch, made=made, progress=report, raise_if_cancelled=ask)
        )
        self.folders[unit.name], self.steps[unit.name] = scratch, steps

    def whole(self, units: Sequence[UnitSpec]) -> Path:
        """Run all units, each by a new engine as in separate processes, and return the path of the clip."""
        for unit in units:
            self.do(unit, self.subject.make())
        clip = self.folders[units[-1].name] / CLIP_FILE
        require(clip.is_file(), f"Its last unit writes no {CLIP_FILE}.")
        return clip
