"""StableAvatar whose units report the process that does them, and can be held halfway.

The engine is reached by the setting `engines`, as a user's own is. Every unit writes lines into the folder of ORDERS. A
file HOLD in it has a prefix of unit names: these units go no further than their first block, except in processes whose
environment has FREE.
"""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engines.clip import Clip, ClipProgress, RunContext
from engines.stableavatar.engine import StableAvatarEngine
from shared.jobs.graph import UnitSpec
from tests.support.engines.job_engines import ORDERS, ordered

ENGINES = {
    "heldavatar": "tests.support.engines.held_stableavatar:HeldStableAvatar",
    "aloneavatar": "tests.support.engines.held_stableavatar:AloneStableAvatar",  # for the worker with all engines
}
HOLD, FREE = "hold", "HELD_STABLEAVATAR_FREE"
LINES = "unit-lines"
UnitMoment = Literal["begun", "held", "loaded", "ended"]


@dataclass(frozen=True, slots=True)
class UnitEvent:
    """An event of a unit. process: id of the child that does the unit."""

    event: UnitMoment
    unit: str
    process: int


def unit_events(orders: Path) -> list[UnitEvent]:
    """Return all events of units, in order."""
    path = orders / LINES
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    words = (line.split() for line in lines)
    return [UnitEvent(event, unit, int(process)) for event, unit, process in words]  # type: ignore[arg-type]


class HeldStableAvatar(StableAvatarEngine):
    """The engine under another name, because an installed engine's name takes precedence."""

    info = replace(StableAvatarEngine.info, name="heldavatar")

    def run(self, unit: UnitSpec, clip: Clip, context: RunContext) -> None:
        _note("begun", unit)
        before = self._job.loaded.loads
        super().run(unit, clip, replace(context, progress=_Held(unit, context.progress)))
        if self._job.loaded.loads > before:
            _note("loaded", unit)
        _note("ended", unit)


class AloneStableAvatar(HeldStableAvatar):
    """`HeldStableAvatar` under a second name."""

    info = replace(StableAvatarEngine.info, name="aloneavatar")


@dataclass(slots=True)
class _Held:
    """Progress callback that blocks at its first report while the unit is held."""

    unit: UnitSpec
    progress: ClipProgress
    was_held: bool = False

    def __call__(self, done: int, total: int, preview: Any = None) -> None:
        self.progress(done, total, preview)
        while not self.was_held and _is_held(self.unit):
            _note("held", self.unit)
            while _is_held(self.unit):
                self.progress(done, total)
                time.sleep(0.02)
            self.was_held = True


def _is_held(unit: UnitSpec) -> bool:
    name = ordered(HOLD)
    return name is not None and unit.name.startswith(name) and FREE not in os.environ


def _note(event: UnitMoment, unit: UnitSpec) -> None:
    with Path(os.environ[ORDERS], LINES).open("a", encoding="utf-8") as file:
        file.write(f"{event} {unit.name} {os.getpid()}\n")
