"""An engine with every ability that keeps every rule of the conformance suite, and for each rule one that breaks it."""

import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from engines.api import NOTHING
from persona_studio.engine import (
    DEFAULT_CONTEXT,
    UNDRAWN,
    Avatar,
    Driving,
    EngineInfo,
    EngineOptions,
    EngineSession,
    FrameEngine,
    PrepareProgress,
    RoiFrame,
    SessionContext,
    StateArrays,
    StudioError,
    VoiceBlock,
    VoiceTicks,
    no_progress,
)

SIDE_PX, AHEAD_US = 32, 20_000


@dataclass(frozen=True)
class Levels:
    """Recorded motion: a level for each frame."""

    rate: Fraction
    levels: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, number: int, /) -> float:
        return self.levels[number]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps([str(self.rate), *self.levels]), encoding="utf-8")


class GoodOptions(EngineOptions):
    """How fine it draws."""

    quality: Literal["full", "half"] = "full"


class Good(FrameEngine):
    """Shows how far the driver's face is from its neutral, or how loud a voice is, as a bar that follows slowly."""

    info = EngineInfo(
        name="good",
        title="Good",
        inputs=frozenset({"motion", "voice", "template"}),
        roi_size=SIDE_PX,
        depends_on="motion",
        voice_ahead_us=AHEAD_US,
    )
    Options: ClassVar[type[EngineOptions] | None] = GoodOptions
    template_suffixes = frozenset({".levels"})

    def prepare(self, avatar: Avatar, progress: PrepareProgress = no_progress) -> None:
        measured = avatar.engine_file(self.info.name, "mean.json")
        if not measured.exists():
            measured.write_text(json.dumps(float(avatar.roi.mean())), encoding="utf-8")

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "RuleSession":
        return RuleSession(context)

    def draw_batch(
        self, sessions: Sequence[EngineSession], inputs: Sequence[Driving | VoiceBlock]
    ) -> list[list[RoiFrame]]:
        return super().draw_batch(sessions, inputs)

    def read_template(self, path: Path) -> Levels:
        try:
            rate, *levels = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise StudioError(f"{path.name} holds no levels; record it again.") from None
        return Levels(Fraction(rate), tuple(levels))

    def record(self, frames: Iterable[Driving], rate: Fraction) -> Levels:
        return Levels(rate, tuple(level for each in frames if (level := moved(each)) is not None))


def moved(driving: Driving) -> float | None:
    """Return how far a driver's face is from its neutral, in eye distances; None without a face."""
    if isinstance(driving.recorded, float):
        return driving.recorded
    if driving.face is None or driving.neutral is None:
        return None
    return float(np.abs(driving.face.points - driving.neutral.points).mean() / driving.neutral.eye_distance)


class RuleSession(EngineSession):
    """State: the bar, and the voice heard. restless: number of frames in which the host waited."""

    quality = "full"

    def __init__(self, context: SessionContext) -> None:
        self.context = context
        self.ticks = VoiceTicks(context.rate, AHEAD_US)
        self.bar = 0.0
        self.restless = 0

    def step(self, driving: Driving) -> list[RoiFrame]:
        if (wanted := moved(driving)) is not None:
            self.follow(wanted)
        return [self.frame(driving.pts)]

    def begin(self, driving: Driving) -> Callable[[], list[RoiFrame]] | None:
        frames = self.step(driving)
        return lambda: frames

    def together(self, frames: Iterable[RoiFrame | int]) -> Iterator[RoiFrame | int]:
        yield from list(frames)

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        return [self.spoken(pts, samples) for pts, samples in self.ticks.hear(block)]

    def flush(self) -> list[RoiFrame]:
        return [self.spoken(pts, samples) for pts, samples in self.ticks.flush()]

    def idle(self, pts: int) -> list[RoiFrame]:
        self.restless += 1
        self.follow(self.restless % 3 / 3)
        return [self.frame(pts)]

    def reset(self) -> None:
        self.bar, self.restless = 0.0, 0
        self.ticks.reset()

    def save(self) -> StateArrays:
        return self.ticks.save() | {"bar": np.array(self.bar), "restless": np.array(self.restless)}

    def restore(self, state: StateArrays) -> None:
        self.ticks.restore(state)
        self.bar, self.restless = float(state["bar"]), int(state["restless"])

    def apply(self, options: EngineOptions) -> bool:
        assert isinstance(options, GoodOptions)
        self.quality = options.quality
        return True

    def lower(self) -> str | None:
        if self.quality == "half":
            return None
        self.quality = "half"
        return "Good goes on at half."

    def spoken(self, pts: int, samples: NDArray[np.int16]) -> RoiFrame:
        self.follow(float(np.abs(samples.astype(np.float64)).mean()) / 4000)
        return self.frame(pts)

    def follow(self, wanted: float) -> None:
        self.bar += 0.5 * (wanted - self.bar)

    def frame(self, pts: int) -> RoiFrame:
        return RoiFrame(pts, self.pixels(pts) if self.draws else UNDRAWN)

    def pixels(self, pts: int) -> NDArray[np.uint8]:
        drawn = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
        drawn[: SIDE_PX // 2] = round(1e5 * self.bar) % 251
        drawn[SIDE_PX // 2 :] = pts // 1000 % 241
        return drawn


class Still(Good):
    """Keeps the rules too: its frames depend on nothing, and each belongs to one plate frame."""

    info = EngineInfo(
        name="still",
        title="Still",
        inputs=frozenset({"motion"}),
        roi_size=SIDE_PX,
        output="region",
        depends_on="nothing",
    )
    Options = None
    template_suffixes = frozenset()

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "RuleSession":
        return StillSession(context)


class StillSession(RuleSession):
    quality = ""

    def follow(self, wanted: float) -> None:
        self.bar = wanted

    def step(self, driving: Driving) -> list[RoiFrame]:
        self.bar = 0.0
        return super().step(driving)

    def frame(self, pts: int) -> RoiFrame:
        assert self.context.plate_at is not None
        return replace(super().frame(pts), plate=self.context.plate_at(pts))

    def apply(self, options: EngineOptions) -> bool:
        return False

    def lower(self) -> None:
        return None


# By rule: an engine that breaks it, and words of the failure that must report it.
Wrong = tuple[type[Good], str]
WRONG: dict[str, Wrong] = {}


def breaks(rule: str, words: str) -> Callable[[type[Any]], type[Any]]:
    """Register an engine, or the good one with this session, that breaks a rule, with words of the failure."""

    def register(wrong: type[Any]) -> type[Any]:
        def opened(self: Good, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> RuleSession:
            made: RuleSession = wrong(context)
            return made

        engine = wrong if issubclass(wrong, Good) else type(f"{wrong.__name__}Engine", (Good,), {"open": opened})
        WRONG[rule] = (engine, words)
        return wrong

    return register


@breaks("probe_is_cheap", "tensorflow was imported by its module or its probe")
class Importing(Good):
    def probe(self) -> None:
        sys.modules["tensorflow"] = ModuleType("tensorflow")  # as `import tensorflow` does


@breaks("info_is_consistent", "The name 'Good One'")
class Misnamed(Good):
    info = replace(Good.info, name="Good One")


@breaks("options_travel", "accepts an option that it does not have")
class Lax(Good):
    def options(self, given: Mapping[str, Any] = NOTHING) -> EngineOptions | None:
        return GoodOptions()


@breaks("prepare_keeps_to_itself", r"writes notes\.txt into the avatar")
class Untidy(Good):
    def prepare(self, avatar: Avatar, progress: PrepareProgress = no_progress) -> None:
        (avatar.folder / "notes.txt").write_text("here", encoding="utf-8")


@breaks("templates_are_its_own", "reads a motion template from a file that is none")
class Credulous(Good):
    def read_template(self, path: Path) -> Levels:
        return Levels(Fraction(25), (0.5,))


@breaks("frames_have_their_form", "Pixels are float64")
class Floating(RuleSession):
    def pixels(self, pts: int) -> Any:
        return super().pixels(pts) / 255


@breaks("frames_have_the_drivers_times", "has a pts that no driving frame had")
class Untimely(RuleSession):
    def step(self, driving: Driving) -> list[RoiFrame]:
        return [replace(frame, pts=frame.pts + 1) for frame in super().step(driving)]


@breaks("flush_gives_what_is_held", "is never shown")
class Holding(Good):
    info = replace(Good.info, frames_held=1)

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "HoldingSession":
        return HoldingSession(context)


class HoldingSession(RuleSession):
    held: RoiFrame | None = None

    def step(self, driving: Driving) -> list[RoiFrame]:
        (frame,), before = super().step(driving), self.held
        self.held = frame
        return [before] if before is not None else []


@breaks("voice_gives_every_tick", "that are due within voice_ahead_us")
class SlowRuleSession(RuleSession):
    def __init__(self, context: SessionContext) -> None:
        super().__init__(context)
        self.ticks = VoiceTicks(context.rate, AHEAD_US + 200_000)


@breaks("voice_may_be_cut_anyhow", "where the voice comes in blocks of 10 ms")
class Choppy(RuleSession):
    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        self.follow(float(np.abs(block.samples.astype(np.float64)).mean()) / 4000)
        return super().hear(block)


@breaks("undrawn_frames_keep_the_state", "after frames that were not drawn")
class Lazy(RuleSession):
    def follow(self, wanted: float) -> None:
        if self.draws:
            super().follow(wanted)


@breaks("nothing_is_carried", "where it is the first one")
class Carrying(Good):
    info = replace(Good.info, depends_on="nothing")


@breaks("frames_name_their_plate", "names plate frame None, not")
class Plateless(Good):
    info = replace(Good.info, output="region")


@breaks("options_are_taken_over", "after its own options were applied")
class Startled(RuleSession):
    def apply(self, options: EngineOptions) -> bool:
        self.bar = 1.0
        return super().apply(options)


@breaks("the_ladder_ends", "so there is no lowest quality")
class Bottomless(RuleSession):
    def lower(self) -> str:
        return "Good goes on at less."


@breaks("the_first_is_like_the_second", "in the first session of all")
class Cold(RuleSession):
    opened: ClassVar[int] = 0

    def __init__(self, context: SessionContext) -> None:
        super().__init__(context)
        type(self).opened += 1
        self.bar = 1.0 / type(self).opened


@breaks("state_is_carried_whole", "where another session continues after 1 inputs of motion")
class Forgetful(RuleSession):
    def save(self) -> StateArrays:
        return super().save() | {"bar": np.array(0.0)}


@breaks("waiting_is_carried_too", "where another session continues while the host waits")
class Restless(RuleSession):
    def save(self) -> StateArrays:
        return super().save() | {"restless": np.array(0)}


@breaks("reset_forgets", "after a reset, from motion")
class Grudging(RuleSession):
    def reset(self) -> None:
        self.ticks.reset()


@breaks("little_memory_shows_the_same", "with low_memory")
class Coarse(RuleSession):
    def pixels(self, pts: int) -> NDArray[np.uint8]:
        drawn = super().pixels(pts)
        return np.right_shift(drawn, 1) if self.context.low_memory else drawn


@breaks("threads_may_change", "of another thread")
class Clinging(RuleSession):
    def __init__(self, context: SessionContext) -> None:
        super().__init__(context)
        self.owner = threading.get_ident()

    def step(self, driving: Driving) -> list[RoiFrame]:
        if threading.get_ident() != self.owner:
            raise RuntimeError("This is the session of another thread.")
        return super().step(driving)


@breaks("sessions_are_apart", "where another session is called in turn, from motion")
class Sharing(RuleSession):
    shared: ClassVar[float] = 0.0

    def __init__(self, context: SessionContext) -> None:
        super().__init__(context)
        type(self).shared = 0.0

    def follow(self, wanted: float) -> None:
        type(self).shared = self.bar = self.shared + 0.5 * (wanted - self.shared)


@breaks("a_batch_shows_single_frames", "in a batch, from motion")
class Mixing(Good):
    def draw_batch(
        self, sessions: Sequence[EngineSession], inputs: Sequence[Driving | VoiceBlock]
    ) -> list[list[RoiFrame]]:
        return super().draw_batch(sessions, [inputs[0] for _ in inputs])


@breaks("begin_is_step", "where the next is begun before it is waited for")
class Late(RuleSession):
    def begin(self, driving: Driving) -> Callable[[], list[RoiFrame]] | None:
        self.step(driving)
        return lambda: [self.frame(driving.pts)]


@breaks("together_is_one_by_one", "in another order, or fewer of them")
class Sorting(RuleSession):
    def together(self, frames: Iterable[RoiFrame | int]) -> Iterator[RoiFrame | int]:
        yield from sorted(frames, key=lambda each: isinstance(each, int))
