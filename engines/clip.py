"""The interface of clip engines: models and services that make a whole clip, offline.

A clip engine declares the units of a clip as a graph. Units run in any process of any worker, each at least once. An
interrupted unit starts over, with only the files of the units it needs. State that an engine object keeps, such as a
loaded model, remains while a worker continues with the job, and may be lost after a unit fails.
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

CLIP_FILE = "clip.mp4"  # the file that the last unit writes into its scratch folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The clip that an engine has to make.

    driver: a file on this machine. driven: the part of it that drives the host, "motion" or "voice". rate: frames per
        second. ticks: number of frames of the clip, the driver's length. size: (width, height) in pixels of the
        delivered video, both even; frames of another size are scaled to fit, with bars if the aspect ratio differs.
        options: the engine's options, checked; None if it has none.
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

    work: all units' work, in `unit`. rate: work per second as measured on this machine, None if not measured yet. unit:
        the unit of measure of `work` and `rate`, such as "TFLOP". memory: bytes on the device. disk: bytes in the jobs
        folder until the clip is done.
    """

    work: float
    rate: float | None
    unit: str
    memory: int
    disk: int

    @property
    def seconds(self) -> float | None:
        """Estimated seconds on one device like this one; None if its rate was not measured."""
        return None if not self.rate else self.work / self.rate


class ClipProgress(Protocol):
    """Callback that a unit calls inside its own loops to report progress."""

    def __call__(self, done: int, total: int, preview: NDArray[np.uint8] | None = None) -> None:
        """Report how far a unit is.

        done, total: steps of this unit, in any measure. preview: (H, W, 3) uint8 RGB, a frame to show while the job
            runs.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What the host passes to a running unit.

    scratch: an empty folder; the files in it when `run` returns are the unit's result.
    made: returns the folder with the files of a unit that this one needs, read-only. Raises StudioError for any other
        unit.
    progress: reports how far the unit is. A unit that reports nothing for 10 minutes counts as stalled, and its process
        is ended; while it waits for something that is alive, reporting the same figures again is enough. Raises as
        `raise_if_cancelled` does.
    raise_if_cancelled: raises if the unit must stop; do not catch the exception. If the unit has to stop and calls
        neither this nor `progress` for a second, its process is ended.
    devices: returns the names of the accelerators that this worker may use, as PyTorch spells them; ("cpu",) if there
        are none.
    low_memory: use as little memory as possible, because memory ran out before.
    """

    scratch: Path
    made: Callable[[str], Path]
    progress: ClipProgress
    raise_if_cancelled: Callable[[], None]
    devices: Callable[[], tuple[str, ...]] = lambda: ("cpu",)
    low_memory: bool = False


class ClipEngine(Engine):
    """A model or service that makes a whole clip offline. Its `Engine.info` has the single mode "offline"."""

    @abstractmethod
    def units(self, clip: Clip) -> Sequence[UnitSpec]:
        """Return the units of this clip, each after those it needs; the last one makes the clip.

        Called once, when the job is submitted, so it must be cheap: it loads no model. Raises StudioError for a clip
        that the engine cannot make.
        """

    def estimate(self, clip: Clip) -> Estimate | None:
        """Estimate this clip's cost from formulas and measurements on this machine; None if the engine has no estimate.

        Cheap: loads no model. Raises StudioError.
        """
        return None

    @abstractmethod
    def run(self, unit: UnitSpec, clip: Clip, context: RunContext) -> None:
        """Run one unit.

        The last unit writes the clip as CLIP_FILE into its scratch folder: a video of the clip's length, at its rate or
        any other, whose frames carry no label. Its sound is ignored, because the driver's sound is used. Raises
        StudioError, and OutOfMemoryError if the device has too little memory; the unit is then tried once more with
        low_memory.
        """
