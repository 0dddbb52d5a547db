"""The interface of clip engines: models and services that make a whole clip, offline.

A clip engine declares the units of a clip as a graph. Units run in any process of any worker, each at least once: one
that was interrupted starts over with nothing but the files of those it needs. What an engine keeps in itself (a model
that it has loaded) stays while a worker continues with the job, and may be gone after a unit that failed.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engines.api import Engine, Input
from engines.options import EngineOptions
from shared.avatar.model import Avatar
from shared.jobs.graph import UnitSpec

CLIP_FILE = "clip.mp4"  # what the last unit writes into its scratch folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The clip that an engine makes.

    driver: a file of this machine. driven: what of it moves the host, "motion" or "voice". rate: frames a second.
    ticks: frames of the whole, the driver's length. size: (width, height) in pixels of what is delivered, both even;
    frames of another size are shown whole in it, with bars where the shape differs. options: the engine's, checked;
    None where it has none.
    """

    avatar: Avatar
    driver: Path
    driven: Input
    rate: Fraction
    ticks: int
    size: tuple[int, int]
    options: EngineOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Estimated cost of a clip.

    work: of all units, in the measure of `rate` and seconds. rate: what this machine was measured to do in a second,
    None where it was not yet. unit: of both, such as "TFLOP". memory: bytes of the device. disk: bytes in the jobs
    folder until it is done.
    """

    work: float
    rate: float | None
    unit: str
    memory: int
    disk: int

    @property
    def seconds(self) -> float | None:
        """Seconds on one device like this one; None where that was not measured."""
        return None if not self.rate else self.work / self.rate


class ClipProgress(Protocol):
    """Called from inside a unit's own loops."""

    def __call__(self, done: int, total: int, preview: NDArray[np.uint8] | None = None) -> None:
        """Report how far a unit is.

        done, total: steps of this unit, in any measure. preview: (H, W, 3) uint8 RGB, a frame for those who watch.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What the host gives a unit.

    scratch: an empty folder; the files in it when `run` returns are what the unit has made.
    made: the folder with the files of a unit that this one needs, to read only. Raises StudioError for any other unit.
    progress: says how far the unit is. One that does not say so for 10 minutes counts as stalled, and its process is
        ended; the same figures again are enough while it waits for something that is alive. Raises as
        `raise_if_cancelled` does.
    raise_if_cancelled: raises where the unit must stop; let it pass. A unit that has not called it or `progress` for a
        second then is ended with its process.
    devices: names of the accelerators that this worker may use, as PyTorch has them, ("cpu",) where there is none.
    low_memory: with as little memory as it can be done, after memory once ran out.
    """

    scratch: Path
    made: Callable[[str], Path]
    progress: ClipProgress
    raise_if_cancelled: Callable[[], None]
    devices: Callable[[], tuple[str, ...]] = lambda: ("cpu",)
    low_memory: bool = False


class ClipEngine(Engine):
    """A model or service that makes a whole clip: offline only. `Engine.info` has the mode "offline" alone."""

    @abstractmethod
    def units(self, clip: Clip) -> Sequence[UnitSpec]:
        """The units of this clip, each after those it needs; the last one makes the clip.

        Called once, where the job is handed in, and cheap: loads no model. Raises StudioError for a clip that the
        engine cannot make.
        """

    def estimate(self, clip: Clip) -> Estimate | None:
        """Estimate this clip's cost, from formulas and measurements here; None where the engine cannot tell.

        Cheap: loads no model. Raises StudioError.
        """
        return None

    @abstractmethod
    def run(self, unit: UnitSpec, clip: Clip, context: RunContext) -> None:
        """Run one unit.

        The last one leaves the clip as CLIP_FILE in its scratch folder: a video of the clip's length, at its rate or
        any other, its frames without a label. Its sound is ignored: the driver's is used. Raises StudioError, and
        OutOfMemoryError where the device has too little; then it is tried once more with low_memory.
        """
