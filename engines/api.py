"""The interface that every engine implements, whether a mesh warp, a diffusion model or a service that makes clips.

Public as `persona_studio.engine`: names in this module change with notice only. An engine is either a `FrameEngine`,
which turns a driver into ROI frames while the driver runs, live and offline, or a `ClipEngine` (`engines.clip`), which
makes a whole clip offline. The base classes give every method a working default; an engine overrides only the methods
for what it can do.
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

UNDRAWN: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)  # pixels of a frame that was not drawn
NOTHING: Mapping[str, Any] = MappingProxyType({})
RATE_FPS = Fraction(25)  # frames per second unless another rate is requested

Input = Literal["motion", "voice", "template"]  # a face on video, speech, recorded motion
Mode = Literal["live", "offline"]
# What a frame depends on besides its own driver frame: nothing, a state that can be updated without drawing
# (`EngineSession.draws`), or a state that changes only by drawing the earlier frames.
Dependence = Literal["nothing", "motion", "frames"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine is and what it needs, readable without loading its model.

    name: lower case, the same as its entry point. aliases: further names under which it is found. title: the name that
        people read. inputs: the kinds of driver it accepts. modes: where it can run.
    output: "roi", a square face crop that the compositor places; "region", the plate's own pixels in that square, made
        for one plate frame; "frame", a full frame.
    roi_size: side of its square frames in pixels.
    frames_per_step: ROI frames that one driving frame may complete. frames_held: driving frames held back before the
        first ROI frame is returned. voice_ahead_us: microseconds of voice that a frame needs beyond its own time.
    depends_on: see `Dependence`. needs_image: needs the driver's image, not only its landmarks.
    attribution: credit that the licence asks results to carry; renders write it into the file and into the record
        beside the file.
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
    face: the tracked and smoothed face in pixels of the driver frame, None while no face is found.
    neutral: the same person's face at rest, in the same frame; motion is measured relative to it.
    frame: (H, W, 3) uint8 RGB, None for an engine that needs landmarks only.
    recorded: one frame of a motion template in the engine's own format, which replaces all of the above; set only for
        an engine with the input "template".
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

    pts: time of the driving frame or voice tick that this frame shows, microseconds.
    pixels: (S, S, 3) uint8 RGB, or (S, S, 4) where the fourth channel is the matte of the face in this frame; without a
        matte the avatar's own mask applies.
    waiting: True when a voice drives and has been silent for a while, so the host idles in this frame.
    plate: index of the plate frame that this frame was made for (`SessionContext.plate_at`). The compositor shows that
        plate frame and assumes that the pixels are already lit like it. None for a frame that fits every plate frame.
    """

    pts: int
    pixels: NDArray[np.uint8]
    waiting: bool = False
    plate: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """Facts and choices that the host passes to a session.

    rate: ROI frames per second for a voice driver; a motion driver determines its own times.
    low_memory: use as little memory as possible, because memory ran out before; frames may take longer, and differ by
        rounding alone.
    plate_at: returns the index of the plate frame that is shown with a frame of the given pts; None: the plate's own
        choice at that time.
    options: the engine's options as returned by `Engine.options`; None: the defaults from the settings
        (`Engine.options()`).
    """

    rate: Fraction = RATE_FPS
    low_memory: bool = False
    plate_at: Callable[[int], int] | None = None
    options: EngineOptions | None = None


DEFAULT_CONTEXT = SessionContext()


class EngineSession:
    """An engine opened on one avatar. Called by one thread at a time, which need not be the one that opened it.

    draws: while False, the session returns frames without pixels, (0, 0, 3), at a fraction of the cost, and its state
        advances as if they had been drawn. A session whose state depends on drawn frames draws regardless.
    quality: the current quality level, a value of the engine's option "quality"; "" for an engine without levels. May
        be read from any thread.
    adjusts: whether the session may lower its quality to keep up; False if the user chose a fixed quality.
    """

    draws: bool = True
    quality: str = ""
    adjusts: bool = False

    def step(self, driving: Driving) -> list[RoiFrame]:
        """Return the ROI frames that this driving frame completes. Without a face the last motion is held."""
        return []

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        """Return the ROI frames that this block of voice completes.

        One frame for each tick (`shared.runtime.clock.tick_pts`, at the rate of the context) once the voice reaches
        `voice_ahead_us` beyond the tick's time. Frames are the same bit for bit however the voice is cut into blocks. A
        block that does not continue the previous one restarts the session's voice at the first tick that is not before
        the block.
        """
        return []

    def idle(self, pts: int) -> list[RoiFrame]:
        """Return a frame of the waiting host.

        The host blinks and breathes. The session eases from the last motion into idling, and from idling into the
        motion of the next `step`. Empty if the plate alone shows the host idling.
        """
        return []

    def flush(self) -> list[RoiFrame]:
        """Return the frames still held back when a driver ends; for a voice, those of the ticks before its end."""
        return []

    def reset(self) -> None:
        """Forget all motion and voice because the driver has restarted. A speaking mouth closes within two frames."""

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return the state carried between frames, as plain arrays; empty for a stateless engine."""
        return {}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Continue from the state that `save` returned."""

    def begin(self, driving: Driving) -> Callable[[], list[RoiFrame]] | None:
        """Start what `step` does without waiting for it: `step(d)` is `begin(d)` followed by a call of its result.

        None if this frame completes no ROI frame. Override `begin` if the device can compute one batch while the next
        one is prepared.

        The returned callable waits for the frames. It is called once, in any thread, possibly while the session
        continues or is reset, so it must not use session state that a later call changes. The callables are called in
        the order of their `begin` calls, and at most one is outstanding when the next `begin` is called. `begin` and
        the callable both raise OutOfMemoryError.
        """
        frames = self.step(driving)
        return (lambda: frames) if frames else None

    @property
    def overlaps(self) -> bool:
        """Whether the session overrides `begin`."""
        return type(self).begin is not EngineSession.begin

    def together(self, frames: Iterable[RoiFrame | int]) -> Iterator[RoiFrame | int]:
        """Yield this session's frames in order, as the caller asks for them; integers among them keep their place.

        Override it to draw several frames at less cost than one by one. The frames must be the same but for rounding,
        regardless of where the iteration starts.
        """
        yield from frames

    def lower(self) -> str | None:
        """Lower the quality by one level and return a sentence that names the new level; None at the lowest level.

        Motion or speech in progress continues where possible. Raises OutOfMemoryError; the session is at the lower
        level even then.
        """
        return None

    def apply(self, options: EngineOptions) -> bool:
        """Switch to other options while on air; motion or speech in progress continues where possible.

        Returns False if the session cannot switch: the host then opens a new session. Raises StudioError if an option
        is not available here, and keeps the old options; raises OutOfMemoryError after it has adopted the new ones.
        """
        return False


class MotionTemplate(Protocol):
    """A driver's motion without its images, recorded in an engine's own format.

    Only that engine can interpret a frame of it, which is passed as `Driving.recorded`.
    """

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Any: ...

    def save(self, path: Path) -> None:
        """Write the template to a file, completely or not at all."""
        ...


PrepareProgress = Callable[[int, int], None]  # steps done, steps in total


def no_progress(done: int, total: int) -> None:
    """Progress callback that ignores the progress."""


class Engine(ABC):
    """Base class of frame and clip engines. Constructed without arguments, cheaply and without importing a model.

    Settings: how the engine runs on this machine, including the defaults of its options; None if it has no settings.
    Options: what its frames depend on besides avatar and driver, chosen per scene and per job; None if it has no
        options.
    weights_manifest: TOML file that lists the weights the engine needs and its terms of use, in the form of
        pretrained_weights/README.md; None if it needs no weights.
    """

    info: EngineInfo
    Settings: ClassVar[type[EngineSettings] | None] = None
    Options: ClassVar[type[EngineOptions] | None] = None
    weights_manifest: ClassVar[Path | None] = None

    def settings(self) -> EngineSettings | None:
        """Return the engine's settings on this machine, None if it has none. Raises StudioError for a wrong setting."""
        if self.Settings is None:
            refuse_settings(self.info.name)
            return None
        return self.Settings.load()

    def options(self, given: Mapping[str, Any] = NOTHING) -> EngineOptions | None:
        """Return the engine's options: `given`, by name, over the defaults from the settings.

        Text is parsed as the option's type. None if the engine has no options. Raises StudioError in one sentence for a
        wrong option.
        """
        if self.Options is None:
            refuse_options(self.info.title, given)
            return None
        settings = self.settings()
        return checked_options(self.Options, self.info.title, {} if settings is None else dict(settings), given)

    def weights(self) -> EngineWeights:
        """Return the weight files listed in the engine's manifest. Raises StudioError if it cannot be read."""
        return read_manifest(self.weights_manifest, self.info.name, self.info.title)

    def probe(self) -> Unavailable | None:
        """Return why the engine cannot run on this machine, None if it can; by default, which weights are missing.

        Cheap: reads no more than the first and last bytes of weight files, and imports no model.
        """
        weights = self.weights()
        reason = missing_weights_error(weights)
        return Unavailable(reason, pull_command(weights)) if reason else None

    def recognise(self, path: Path) -> str:
        """Identify a weight file by its content and return its path in the manifest.

        "" if it is none of the engine's files, as for every engine whose files need not be added by hand (`studio
        weights add`). Called only for files whose checksum is not known. Raises StudioError in one sentence for a file
        that cannot be read.
        """
        return ""

    def check(self) -> None:
        """Raise StudioError if the engine cannot run here, with the reason from `probe`, or if a setting is wrong."""
        self.settings()
        try:
            problem = self.probe()
        except StudioError:
            raise
        except Exception as error:
            raise StudioError(
                f"{self.info.title} failed to check whether it can run here ({named(error)}); update its package."
            ) from error
        if problem is not None:
            raise StudioError(problem.reason)

    def prepare(self, avatar: Avatar, progress: PrepareProgress = no_progress) -> None:  # noqa: B027 - optional
        """Measure once what the engine needs to know of an avatar, and keep it in files of `Avatar.engine_file`.

        Jobs carry those files along. Called before `open`; cheap if the files exist already. Raises StudioError.
        """


class FrameEngine(Engine):
    """A model that turns a driver into ROI frames while the driver runs: live and offline.

    template_suffixes: file suffixes of its motion templates, lower case with the dot; empty if it plays none.
    """

    template_suffixes: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> EngineSession:
        """Load what depends on the avatar and return a session.

        Raises StudioError if a weight file is missing. This call and later calls of the session raise OutOfMemoryError
        if the device has too little memory.
        """

    def draw_batch(
        self, sessions: Sequence[EngineSession], inputs: Sequence[Driving | VoiceBlock]
    ) -> list[list[RoiFrame]]:
        """Return each session's frames for its input: `step` for a driving frame, `hear` for a block of voice.

        Override it to draw the frames of several sessions in one call of the model; the frames must be the same as one
        by one, but for rounding. Called by one thread.
        """
        return [
            session.step(each) if isinstance(each, Driving) else session.hear(each)
            for session, each in zip(sessions, inputs, strict=True)
        ]

    def read_template(self, path: Path) -> MotionTemplate:
        """Read a motion template from a file; needs no weights.

        Raises StudioError for a file that is not one of this engine's templates, and for every file if the engine's
        inputs lack "template".
        """
        raise StudioError(
            f"{self.info.title} cannot play motion templates; choose an engine that can (`studio engines`), or "
            "another driver."
        )

    def record(self, frames: Iterable[Driving], rate: Fraction) -> MotionTemplate:
        """Record the motion of driving frames, which carry their images, as a motion template.

        Raises StudioError if no frame shows a face, and the same errors as `open`.
        """
        raise StudioError(
            f"{self.info.title} cannot record motion templates; choose an engine that can (`studio engines`)."
        )
