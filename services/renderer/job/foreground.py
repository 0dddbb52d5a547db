"""Renders a driver file on an avatar in the foreground, segment by segment, as a job would and with its very functions."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compositing.compose import Composer
from compositing.cutout import Cutout
from engines.api import RATE, MotionTemplate, RoiFrame
from engines.registry import NONE, load
from engines.templates import read_template
from services.renderer.encode.concat import assemble
from services.renderer.encode.segment import SegmentWriter
from services.renderer.job.plan import SEGMENT_SECONDS, look_of, planned, with_look
from services.renderer.pipeline.draw import draw
from services.renderer.pipeline.driver import JOIN, MAX_SIDE, NO_FACE, played, spoken, tracked, write_samples
from services.renderer.pipeline.engine_run import Run
from shared.avatar.model import Avatar
from shared.errors import StudioError
from shared.face.follower import FaceFollower
from shared.jobs.manifest import Plan
from shared.media.output_spec import Output
from shared.media.timeline import pictures
from shared.runtime.clock import US

Progress = Callable[[int, int], None]


def render(
    avatar: Avatar,
    driver: Path,
    out: Path,
    *,
    engine: str = "mesh",
    engines: Mapping[str, str] = NONE,
    quality: str = "",
    rate: Fraction = RATE,
    output: Output | None = None,
    idle_after: float = 0.5,
    segment_seconds: float = SEGMENT_SECONDS,
    progress: Progress = lambda done, total: None,
) -> int:
    """Write `out` with the driver's length and sound, and its frame rate unless `output` asks for another; returns the
    number of pictures.

    driver: a video, sound alone, which then drives as a voice, or a motion template, which has no sound. engines: see
    `load`. quality: one of the engine's; "": what its settings say. rate: pictures a second for a voice. progress: called
    with pictures done and expected. `out` appears whole or not at all. Raises StudioError.
    """
    output = output or Output()
    output.check_path(out)
    if out.exists() and driver.exists() and out.samefile(driver):
        raise StudioError("The output would replace the driver; choose another name.")
    chosen = load(engine, engines)
    if reason := chosen.unavailable():
        raise StudioError(reason)
    chosen = with_look(chosen, look_of(chosen, quality))
    plan, heard = planned(driver, chosen, output.fps, rate, segment_seconds)
    try:
        folder = tempfile.TemporaryDirectory(prefix=".studio-render-", dir=out.absolute().parent)
    except OSError as error:
        raise StudioError(f"{out} cannot be written ({error.strerror}); choose another place.") from None
    plate = avatar.plate
    with folder as name:
        run = Run(chosen.open(avatar, plan.fps), int(idle_after * US))
        segments: Iterator[Iterator[RoiFrame | int]] | Iterator[Iterator[RoiFrame]]
        if plan.driven == "motion":
            segments = _motion(driver, plan, run)
        elif plan.driven == "voice":
            segments = _voice(driver, plan, run, Path(name))
        else:
            segments = _template(read_template(chosen, driver), plan, run)
        cutout = Cutout(avatar) if output.alpha else None
        done, parts = 0, []
        for index, frames in enumerate(segments):
            parts.append(Path(name) / f"{index:05d}{output.suffix}")
            told = _Told(progress, done, plan.ticks)
            with SegmentWriter(parts[-1], plate.width, plate.height, plan.fps, output) as writer:
                done += draw(frames, Composer(avatar), writer, output.label, told, cutout)
        assemble(parts, driver if heard else None, out, output, plan.fps)
    return done


@dataclass(frozen=True, slots=True)
class _Told:
    """Counts on from the segments before."""

    progress: Progress
    before: int
    total: int

    def __call__(self, number: int, picture: NDArray[np.uint8]) -> None:
        done = self.before + number
        self.progress(done, max(self.total, done))


def _motion(driver: Path, plan: Plan, run: Run) -> Iterator[Iterator[RoiFrame | int]]:
    """The frames of each segment; engine and follower go on from one to the next."""
    follower = FaceFollower()
    for index in range(plan.segments):
        yield _segment(driver, plan, run, follower, index)
    if run.faceless:
        raise StudioError(NO_FACE.format(driver.name))


def _segment(driver: Path, plan: Plan, run: Run, follower: FaceFollower, index: int) -> Iterator[RoiFrame | int]:
    start, stop = plan.span(index)
    if start:
        follower.join(rgb for _, rgb, _ in pictures(driver, plan.fps, max(0, start - JOIN), start, MAX_SIDE))
    yield from run.motion(tracked(follower, pictures(driver, plan.fps, start, stop, MAX_SIDE)))
    if index + 1 == plan.segments:
        yield from run.flush()


def _template(template: MotionTemplate, plan: Plan, run: Run) -> Iterator[Iterator[RoiFrame | int]]:
    """The frames of each segment of a recorded motion."""
    for index in range(plan.segments):
        yield _played(template, plan, run, index)


def _played(template: MotionTemplate, plan: Plan, run: Run, index: int) -> Iterator[RoiFrame | int]:
    yield from run.motion(played(template, plan.fps, *plan.span(index)))
    if index + 1 == plan.segments:
        yield from run.flush()


def _voice(driver: Path, plan: Plan, run: Run, folder: Path) -> Iterator[Iterator[RoiFrame]]:
    """The frames of each segment of a voice; the last one has all that is left."""
    path = folder / "voice.s16"
    write_samples(driver, path)
    for index in range(plan.segments):
        yield spoken(run, plan, path, index)
