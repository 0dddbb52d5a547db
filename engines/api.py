"""The one interface that every engine implements: a mesh warp, a diffusion model, a service that makes clips.

Public as `persona_studio.engine`: what is here changes with notice only. An engine is a `FrameEngine`, which turns a
driver into ROI frames as it goes, live and offline, or a `ClipEngine` (`engines.clip`), which makes a whole clip,
offline. A base class gives every method a working default: an engine overrides what it can do.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.options import EngineOptions, checked_options, refuse_options
from engines.settings import EngineSettings, refuse_settings
from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.errors import StudioError, named
from shared.face.landmarks import Face
from shared.unavailable import Unavailable as Unavailable
from shared.weights.manifest import EngineWeights, missing_weights_error, pull_command, read_manifest

UNDRAWN: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)  # the pixels of a frame that was not drawn
NOTHING: Mapping[str, Any] = MappingProxyType({})
RATE_FPS = Fraction(25)  # frames a second where nothing else is asked for

Input = Literal["motion", "voice", "template"]  # a face on video, speech, recorded motion
Mode = Literal["live", "offline"]
# What a frame depends on besides its own driver frame: nothing, a state that can be brought up to date without drawing
# (`EngineSession.draws`), or one that only drawing brings about.
Dependence = Literal["nothing", "motion", "frames"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine is and needs, known without loading it.

    name: lower case, the name of its entry point. aliases: further names under which it is found. title: for people.
        inputs: what drives it. modes: where it can run.
    output: "roi", a square face crop that the compositor places; "region", the plate's own pixels in that square, made
        for one plate frame; "frame", a full frame.
    roi_size: side of its square frames in pixels.
    frames_per_step: ROI frames that one driving frame may complete. frames_held: driving frames held back before the
        first ROI frame comes out. voice_ahead_us: microseconds of voice after a frame's own time that the frame needs.
    depends_on: see `Dependence`. needs_image: needs the driver's image, not only its landmarks.
    attribution: words that its licence wants results to carry; renders have them in the file and in the record beside
        it.
    """

    name: str
    title: str
    inputs: frozenset[Input]
    modes: frozenset[Mode] = frozenset({"live", "offline"})
    output: Literal["roi", "region", "frame"] = "roi"
    roi_size: int = ROI_SIZE_PX
    frames_per_step: int = 1
    frames_held: int = 0
    voice_ahead_us: int = 0
    depends_on: Dependence = "nothing"
    needs_image: bool = False
    aliases: frozenset[str] = frozenset()
    attribution: str = ""


@dataclass(frozen=True, slots=True)
class Driving:
    """One frame of a motion driver.

    pts: microseconds on the channel clock.
    face: the tracked and smoothed face in pixels of the driver frame, None while there is none.
    neutral: the same person's face at rest, in the same frame; what motion is relative to.
    frame: (H, W, 3) uint8 RGB, None where an engine needs landmarks only.
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
    """One frame that an engine returns.

    pts: of the driving frame or the tick of the voice that it shows, microseconds.
    pixels: (S, S, 3) uint8 RGB, or (S, S, 4) where the fourth channel is the matte of the face in
        this frame; without it the avatar's own mask holds.
    waiting: a voice drives, and there has been silence for a while: the host idles in this frame.
    plate: index of the plate frame that it was made for (`SessionContext.plate_at`); the compositor shows that one, and
        takes the pixels to be in its light. None for a frame that fits every plate frame.
    """

    pts: int
    pixels: NDArray[np.uint8]
    waiting: bool = False
    plate: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """What the host gives a session.

    rate: ROI frames a second for a voice; for motion the driver's own times count.
    low_memory: with as little memory as it can be done, after memory once ran out; frames may take longer, and differ
        by rounding alone.
    plate_at: index of the plate frame that is shown with a frame of this pts; None: the plate's own at this time.
    options: the engine's, as `Engine.options` gives them; None: as the settings say (`Engine.options()`).
    """

    rate: Fraction = RATE_FPS
    low_memory: bool = False
    plate_at: Callable[[int], int] | None = None
    options: EngineOptions | None = None


DEFAULT_CONTEXT = SessionContext()


class EngineSession:
    """An engine opened on one avatar. Called by one thread at a time, which need not be the one that opened it.

    draws: while False, frames come out without pixels, (0, 0, 3), at a fraction of the cost, and the state continues as
        if they had been drawn. What depends on frames draws all the same.
    quality: of a ladder of qualities the rung it is at, a value of the engine's option "quality"; "" without a ladder.
        May be read from any thread.
    adjusts: whether it may go down the ladder to keep up; False where a quality was chosen to stay at.
    """

    draws: bool = True
    quality: str = ""
    adjusts: bool = False

    def step(self, driving: Driving) -> list[RoiFrame]:
        """ROI frames that this driving frame completes. Without a face the last motion is held."""
        return []

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        """ROI frames that this block of voice completes.

        One for each tick (`shared.runtime.clock.tick_pts`, at the rate of the context) whose time and `voice_ahead_us`
        the voice has reached, the same bit for bit however the voice is cut into blocks. A block that does not follow
        the last one starts over, at the first tick that is not before it.
        """
        return []

    def idle(self, pts: int) -> list[RoiFrame]:
        """A frame of the host waiting.

        Blinks and breathing, eased into from the last motion and, by the next `step`, eased out of. Empty where the
        plate alone idles.
        """
        return []

    def flush(self) -> list[RoiFrame]:
        """What is still held back, at the end of a driver; for a voice the ticks before its end."""
        return []

    def reset(self) -> None:
        """Forget all motion and voice: the driver has restarted. A mouth that was speaking closes within two frames."""

    def save(self) -> dict[str, NDArray[np.generic]]:
        """State carried between frames, as plain arrays; empty for a stateless engine."""
        return {}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Continue where `save` left off."""

    def begin(self, driving: Driving) -> Callable[[], list[RoiFrame]] | None:
        """What `step` does, without waiting: `step(d)` is `begin(d)` and, at once, a call of what that returned.

        None where this frame completes nothing. Override it where the device computes one batch while the next is
        begun.

        What is returned waits for the frames and is called once, in any thread, also while the session continues or
        is reset: it needs nothing of the session that a later call changes. Calls come in the order of `begin`, and at
        most one is outstanding when the next `begin` is called. Both raise OutOfMemoryError.
        """
        frames = self.step(driving)
        return (lambda: frames) if frames else None

    @property
    def overlaps(self) -> bool:
        """Whether the session has a `begin` of its own."""
        return type(self).begin is not EngineSession.begin

    def together(self, frames: Iterable[RoiFrame | int]) -> Iterator[RoiFrame | int]:
        """The frames that come out of this session as they are asked for, whole numbers among them in their place.

        Override it to draw several at less cost than one by one; the same frames but for rounding, wherever the first
        of them begins.
        """
        yield from frames

    def lower(self) -> str | None:
        """Step one rung down; returns one sentence that names the new rung, None where there is no lower one.

        What is under way continues where it can. Raises OutOfMemoryError, and is at the lower rung all the same.
        """
        return None

    def apply(self, options: EngineOptions) -> bool:
        """Continue with other options while on air; what is under way continues where it can.

        False where it cannot: the host opens it again. Raises StudioError where an option is not available here, and
        stays as it was; OutOfMemoryError, and then has taken the options over nevertheless.
        """
        return False


class MotionTemplate(Protocol):
    """A driver's motion without its frames, as an engine made it.

    What a frame is, only that engine knows: it goes into `Driving.recorded`.
    """

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Any: ...

    def save(self, path: Path) -> None:
        """Write it; whole or not at all."""
        ...


PrepareProgress = Callable[[int, int], None]  # steps done, of how many


def no_progress(done: int, total: int) -> None:
    """Progress that is not shown."""


class Engine(ABC):
    """What frame and clip engines share. Made without arguments; making one is cheap and imports no model.

    Settings: how it runs on this machine, with the defaults of its options; None where it has none.
    Options: what its frames depend on besides avatar and driver, chosen per scene and per job; None where it has none.
    weights_manifest: TOML file with the weights that it needs and the terms on which it may be used, in the form of
        pretrained_weights/README.md; None where it needs none.
    """

    info: EngineInfo
    Settings: ClassVar[type[EngineSettings] | None] = None
    Options: ClassVar[type[EngineOptions] | None] = None
    weights_manifest: ClassVar[Path | None] = None

    def settings(self) -> EngineSettings | None:
        """The engine's settings as they hold here, None where it has none. Raises StudioError for a wrong one."""
        if self.Settings is None:
            refuse_settings(self.info.name)
            return None
        return self.Settings.load()

    def options(self, given: Mapping[str, Any] = NOTHING) -> EngineOptions | None:
        """`given`, by name, over what the settings say here; text is read as the option's type.

        None where it has no options. Raises StudioError in one sentence for a wrong one.
        """
        if self.Options is None:
            refuse_options(self.info.title, given)
            return None
        settings = self.settings()
        return checked_options(self.Options, self.info.title, {} if settings is None else dict(settings), given)

    def weights(self) -> EngineWeights:
        """The files that its manifest names. Raises StudioError where the manifest cannot be read."""
        return read_manifest(self.weights_manifest, self.info.name, self.info.title)

    def probe(self) -> Unavailable | None:
        """Why it cannot run on this machine, None where it can; by itself, what is missing of its weights.

        Cheap: reads no more than the ends of weight files, and imports no model.
        """
        weights = self.weights()
        reason = missing_weights_error(weights)
        return Unavailable(reason, pull_command(weights)) if reason else None

    def recognise(self, path: Path) -> str:
        """Which of its files a file is by its content, by the manifest's path.

        "" where it is none, as all are for an engine whose files need not be taken by hand (`studio weights add`).
        Asked only of what has no known checksum. Raises StudioError in one sentence for a file that cannot be looked
        at.
        """
        return ""

    def check(self) -> None:
        """Raise StudioError, in the words of `probe`, where it cannot run here, and for a wrong setting."""
        self.settings()
        try:
            problem = self.probe()
        except StudioError:
            raise
        except Exception as error:
            raise StudioError(
                f"{self.info.title} cannot say whether it runs here ({named(error)}); update its package."
            ) from error
        if problem is not None:
            raise StudioError(problem.reason)

    def prepare(self, avatar: Avatar, progress: PrepareProgress = no_progress) -> None:  # noqa: B027 - optional
        """Measure once what the engine needs to know of an avatar, and keep it in files of `Avatar.engine_file`.

        Jobs carry those files along. Called before `open`, and cheap when it was done. Raises StudioError.
        """


class FrameEngine(Engine):
    """A model that turns a driver into ROI frames as it goes: live and offline.

    template_suffixes: how the names of its motion templates end, lower case with the dot; none where it plays none.
    """

    template_suffixes: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> EngineSession:
        """Load what depends on the avatar.

        Raises StudioError when a weight file is missing, here and later OutOfMemoryError where the device has too
        little.
        """

    def draw_batch(
        self, sessions: Sequence[EngineSession], inputs: Sequence[Driving | VoiceBlock]
    ) -> list[list[RoiFrame]]:
        """What each session gives for its input: `step` of a driver frame, `hear` of a block of voice.

        Override it to draw the frames of several sessions in one call of the model; the same frames as one by one but
        for rounding. Called by one thread.
        """
        return [
            session.step(each) if isinstance(each, Driving) else session.hear(each)
            for session, each in zip(sessions, inputs, strict=True)
        ]

    def read_template(self, path: Path) -> MotionTemplate:
        """A motion template from a file, needing no weights.

        Raises StudioError for a file that is not one of this engine's, as all are for an engine whose inputs lack
        "template".
        """
        raise StudioError(
            f"{self.info.title} does not play motion templates; choose an engine that does (`studio engines`), or "
            "another driver."
        )

    def record(self, frames: Iterable[Driving], rate: Fraction) -> MotionTemplate:
        """The motion of a driver's frames, with their images.

        Raises StudioError where none has a face, and what `open` raises.
        """
        raise StudioError(
            f"{self.info.title} records no motion templates; choose an engine that does (`studio engines`)."
        )
