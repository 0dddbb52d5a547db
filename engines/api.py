"""The one interface that every engine implements, from a mesh warp to a diffusion model."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engines.settings import EngineSettings
from shared.avatar.model import Avatar
from shared.face.landmarks import Face

UNDRAWN: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)  # the pixels of a frame that was not drawn
RATE_FPS = Fraction(25)  # frames a second where nothing else is asked for


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What an engine is and needs, known without loading it."""

    name: str
    title: str
    driven_by: frozenset[Literal["motion", "voice", "template"]]  # template: recorded motion, of a `PlaysTemplates`
    frames_per_step: int  # ROI frames that one driving frame may complete
    look_ahead: int  # driving frames held back before the first ROI frame comes out
    sees: bool  # needs the driver's frame, not only its points
    # What a frame owes to those before it: nothing, a state that can be brought up to date without drawing (`draws`), or
    # one that only drawing brings about.
    carries: Literal["nothing", "motion", "frames"]
    voice_ahead: int  # microseconds of voice after a frame's own time that the frame needs; 0 where no voice drives
    # (name, title) of each rung of an `Adjustable` one's ladder, best first
    qualities: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Driving:
    """One motion driver frame.

    pts: microseconds on the channel clock.
    face: the tracked and smoothed face in pixels of the driver frame, None while there is none.
    neutral: the same person's face at rest, in the same frame; what motion is relative to.
    frame: (H, W, 3) uint8 RGB, None where an engine needs points only.
    recorded: one frame of a motion template of the engine's own, in place of all these; only "template" gives any.
    """

    pts: int
    face: Face | None
    neutral: Face | None
    frame: NDArray[np.uint8] | None = None
    recorded: object = None


@dataclass(frozen=True, slots=True)
class VoiceBlock:
    """A stretch of voice.

    pts: microseconds of the first sample, on the channel clock.
    samples: (n,) int16 mono at 48 kHz; any n.
    """

    pts: int
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class RoiFrame:
    """One engine output.

    pixels: (S, S, 3) uint8 RGB, or (S, S, 4) where the fourth channel is the matte of the face in
        this frame; without it the avatar's own mask holds.
    waiting: a voice drives, and nobody has spoken for a while: the host idles in this frame.
    """

    pts: int
    pixels: NDArray[np.uint8]
    waiting: bool = False


class EngineSession(Protocol):
    """An engine opened on one avatar. Called by one thread at a time, which need not be the one that opened it.

    draws: while False, frames come out without pixels, (0, 0, 3), at a fraction of the cost, and the state goes on as if
        they had been drawn. What carries frames draws all the same.
    """

    draws: bool

    def step(self, driving: Driving) -> list[RoiFrame]:
        """ROI frames that this driving frame completes. Without a face the last motion is held."""
        ...

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        """ROI frames that this block of voice completes: one for each tick (`shared.runtime.clock.tick_pts`, at the rate the
        session was opened with) whose time and `voice_ahead` the voice has reached, the same to the bit however the
        voice is cut into blocks. A block that does not follow the last one begins anew, at the first tick that is not
        before it. Empty where no voice drives."""
        ...

    def idle(self, pts: int) -> list[RoiFrame]:
        """A frame of the host waiting: blinks and breathing, eased into from the last motion and,
        by the next `step`, eased out of. Empty where the engine cannot."""
        ...

    def flush(self) -> list[RoiFrame]:
        """What is still held back, at the end of a driver; for a voice the ticks before its end."""
        ...

    def reset(self) -> None:
        """Forget all motion and voice: the driver has restarted. A mouth that was speaking closes within two frames."""
        ...

    def save(self) -> dict[str, NDArray[np.generic]]:
        """State carried between frames, as plain arrays; empty for a stateless engine."""
        ...

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Go on where `save` left off."""
        ...


@runtime_checkable
class Adjustable(Protocol):
    """A session with a ladder of qualities, for where the device cannot keep up or its memory runs out.

    quality: name of the rung it is at now, one of the spec's `qualities`; may be read from any thread.
    adjusts: whether it may go down to keep up; False where a quality was chosen to stay at.
    """

    @property
    def quality(self) -> str: ...

    adjusts: bool

    def lower(self) -> str | None:
        """One rung down; one sentence saying what it is now, None where there is no further rung. What is under way goes on
        where it can. Raises OutOfMemoryError, and is at the lower rung all the same."""
        ...

    def choose(self, name: str) -> None:
        """Go to the rung of this name and stay there; "" is the engine's own choice, from which it may go down by itself.
        What is under way goes on where it can. Raises StudioError where it cannot have that rung, and stays as it was;
        OutOfMemoryError, and is at that rung all the same."""
        ...


@runtime_checkable
class Overlaps(Protocol):
    """A session whose frames come out later than the call that makes them: one batch is decoded while the next is begun."""

    def begin(self, driving: Driving) -> Callable[[], list[RoiFrame]] | None:
        """What `step` does, without waiting: `step(d)` is `begin(d)` and, at once, a call of what that returned. None where
        this frame completes nothing.

        What is returned waits for the frames and is called once, in any thread, also while the session goes on or begins
        anew: it needs nothing of the session that a later call changes. Calls come in the order of `begin`, and at most
        one is outstanding when the next `begin` is called. Both raise OutOfMemoryError."""
        ...


class Engine(Protocol):
    """A model that turns a driver into ROI frames."""

    spec: EngineSpec

    def unavailable(self) -> str | None:
        """One sentence saying why this machine cannot run it and what would help, or None."""
        ...

    def open(self, avatar: Avatar, rate: Fraction = RATE_FPS, small: bool = False) -> EngineSession:
        """Load what depends on the avatar. rate: ROI frames a second for a voice; for motion the driver's own
        times count. small: with as little memory as it can be done, after memory once ran out; the frames may take
        longer, they do not change. Raises StudioError when a weight file is missing, here and later OutOfMemoryError where
        the device has too little."""
        ...


@runtime_checkable
class Configurable(Protocol):
    """An engine with settings of its own."""

    def settings(self) -> EngineSettings:
        """As they hold for it. Raises StudioError for one that is wrong."""
        ...

    def under(self, look: Mapping[str, Any]) -> Engine:
        """The engine with this look (`EngineSettings.frame_settings`), whatever holds here."""
        ...


class MotionTemplate(Protocol):
    """A driver's motion without its frames, as an engine made it. What a frame is, only that engine knows: it goes into
    `Driving.recorded`."""

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Any: ...

    def save(self, path: Path) -> None:
        """Write it; whole or not at all."""
        ...


@runtime_checkable
class PlaysTemplates(Protocol):
    """An engine that plays recorded motion, whose `driven_by` says "template"."""

    def read_template(self, path: Path) -> MotionTemplate:
        """A template from a file, needing no weights. Raises StudioError for a file that is not one of this engine's."""
        ...

    def record(self, frames: Iterable[Driving], rate: Fraction) -> MotionTemplate:
        """The motion of a driver's frames, with their frames. Raises StudioError where none has a face, and what `open`
        raises."""
        ...


@runtime_checkable
class DrawsTogether(Protocol):
    """A session that draws several frames at less cost than one by one, where nobody waits for any of them."""

    def together(self, frames: Iterable[RoiFrame | int]) -> Iterator[RoiFrame | int]:
        """The frames that come out of this session as they are asked for, drawn several at a time; whole numbers among
        them stay in their place. The same frames to the bit, wherever the first of them begins."""
        ...
