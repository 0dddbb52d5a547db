"""Renders a driver file on an avatar in the foreground, segment by segment, as a job would and with its very functions."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compositing.compose import Composer
from compositing.cutout import Cutout
from engines.api import NOTHING, RATE_FPS, MotionTemplate, RoiFrame, SessionContext
from engines.registry import NONE, load_frame_engine
from services.renderer.encode.concat import assemble
from services.renderer.encode.segment import SegmentWriter
from services.renderer.job.plan import SEGMENT_S, planned
from services.renderer.pipeline.draw import draw_frames
from services.renderer.pipeline.driver import (
    MAX_SIDE_PX,
    NO_FACE,
    WARM_UP_FRAMES,
    template_driven_faces,
    tracked,
    voice_driven_faces,
    write_samples,
)
from services.renderer.pipeline.engine_run import EngineRun
from shared.avatar.model import Avatar
from shared.config.settings import DEFAULT_ENGINE
from shared.errors import StudioError
from shared.face.follower import FaceFollower
from shared.jobs.manifest import Plan
from shared.media.output_spec import OutputSpec
from shared.media.timeline import shown_frames
from shared.runtime.clock import US
from shared.runtime.progress import FrameProgress
from shared.scene import OptionValue


def render_file(
    avatar: Avatar,
    driver: Path,
    out: Path,
    *,
    engine: str = DEFAULT_ENGINE,
    engines: Mapping[str, str] = NONE,
    options: Mapping[str, OptionValue] = NOTHING,
    rate: Fraction = RATE_FPS,
    output: OutputSpec | None = None,
    idle_after: float = 0.5,
    segment_seconds: float = SEGMENT_S,
    progress: FrameProgress = lambda done, total: None,
) -> int:
    """Write `out` with the driver's length and sound, and its frame rate unless `output` asks for another; returns the
    number of frames.

    driver: a video, sound alone, which then drives as a voice, or a motion template, which has no sound. engines: see
    `load`. options: the engine's by name; the others are as its settings say. rate: frames a second for a voice. progress: called
    with frames done and expected. `out` appears whole or not at all. Raises StudioError.
    """
    output = output or OutputSpec()
    output.check_path(out)
    if out.exists() and driver.exists() and out.samefile(driver):
        raise StudioError("The output would replace the driver; choose another name.")
    chosen = load_frame_engine(engine, engines)
    chosen.check()
    wanted = chosen.options(options)
    plan, heard = planned(driver, chosen, output.fps, rate, segment_seconds)
    try:
        folder = tempfile.TemporaryDirectory(prefix=".studio-render-", dir=out.absolute().parent)
    except OSError as error:
        raise StudioError(f"{out} cannot be written ({error.strerror}); choose another place.") from None
    plate = avatar.plate
    with folder as name:
        chosen.prepare(avatar)
        run = EngineRun(chosen.open(avatar, SessionContext(rate=plan.fps, options=wanted)), int(idle_after * US))
        segments: Iterator[Iterator[RoiFrame | int]] | Iterator[Iterator[RoiFrame]]
        if plan.driven == "motion":
            segments = _motion(driver, plan, run)
        elif plan.driven == "voice":
            segments = _voice(driver, plan, run, Path(name))
        else:
            segments = _template(chosen.read_template(driver), plan, run)
        cutout = Cutout(avatar) if output.alpha else None
        done, parts = 0, []
        for index, frames in enumerate(segments):
            parts.append(Path(name) / f"{index:05d}{output.suffix}")
            told = _SegmentProgress(progress, done, plan.ticks)
            with SegmentWriter(parts[-1], plate.width, plate.height, plan.fps, output) as writer:
                done += draw_frames(frames, Composer(avatar), writer, output.label, told, cutout)
        assemble(parts, driver if heard else None, out, output, plan.fps)
    return done


@dataclass(frozen=True, slots=True)
class _SegmentProgress:
    """Counts on from the segments before."""

    progress: FrameProgress
    before: int
    total: int

    def __call__(self, number: int, frame: NDArray[np.uint8]) -> None:
        done = self.before + number
        self.progress(done, max(self.total, done))


def _motion(driver: Path, plan: Plan, run: EngineRun) -> Iterator[Iterator[RoiFrame | int]]:
    """The frames of each segment; engine and follower go on from one to the next."""
    follower = FaceFollower()
    for index in range(plan.segments):
        yield _segment(driver, plan, run, follower, index)
    if run.faceless:
        raise StudioError(NO_FACE.format(driver.name))


def _segment(driver: Path, plan: Plan, run: EngineRun, follower: FaceFollower, index: int) -> Iterator[RoiFrame | int]:
    start, stop = plan.span(index)
    if start:
        follower.join(
            rgb for _, rgb, _ in shown_frames(driver, plan.fps, max(0, start - WARM_UP_FRAMES), start, MAX_SIDE_PX)
        )
    yield from run.motion(tracked(follower, shown_frames(driver, plan.fps, start, stop, MAX_SIDE_PX)))
    if index + 1 == plan.segments:
        yield from run.flush()


def _template(template: MotionTemplate, plan: Plan, run: EngineRun) -> Iterator[Iterator[RoiFrame | int]]:
    """The frames of each segment of a recorded motion."""
    for index in range(plan.segments):
        yield _played(template, plan, run, index)


def _played(template: MotionTemplate, plan: Plan, run: EngineRun, index: int) -> Iterator[RoiFrame | int]:
    yield from run.motion(template_driven_faces(template, plan.fps, *plan.span(index)))
    if index + 1 == plan.segments:
        yield from run.flush()


def _voice(driver: Path, plan: Plan, run: EngineRun, folder: Path) -> Iterator[Iterator[RoiFrame]]:
    """The frames of each segment of a voice; the last one has all that is left."""
    path = folder / "voice.s16"
    write_samples(driver, path)
    for index in range(plan.segments):
        yield voice_driven_faces(run, plan, path, index)
