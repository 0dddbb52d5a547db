"""Recording of a driver video's motion as a template, which can be played on any avatar."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from engines.api import Driving, FrameEngine
from engines.registry import NONE, load, load_frame_engine, names
from services.renderer.job.plan import check_driven
from services.renderer.pipeline.calmest import calmest_face
from services.renderer.pipeline.driver import tracked
from shared.driver_ref import TEMPLATE_SUFFIX
from shared.errors import StudioError
from shared.face.follower import FOLLOWED_SIDE_PX, FaceFollower
from shared.media.reader import has_video
from shared.media.timeline import read_timeline, shown_frames
from shared.runtime.files import check_output
from shared.runtime.private_files import share
from shared.runtime.progress import FrameProgress


def record_motion(
    driver: Path,
    out: Path,
    *,
    engine: str = "",
    engines: Mapping[str, str] = NONE,
    progress: FrameProgress = lambda done, total: None,
) -> int:
    """Record the motion of the face in a video to `out`, at the video's rate; returns the number of frames.

    engine: the only engine that can play the template; "" for the first that plays templates. engines: see `load`.
    `out` appears complete or not at all. Raises StudioError.
    """
    chosen = load_frame_engine(engine, engines) if engine else _first_player(engines)
    check_driven(chosen, "template")
    chosen.check()
    _check_out(driver, out)
    if not has_video(driver):
        raise StudioError(f"{driver.name} has no frames; record from a video that shows a face.")
    timeline = read_timeline(driver)
    ticks = shown_frames(driver, timeline.rate, 0, timeline.ticks, FOLLOWED_SIDE_PX)
    follower = FaceFollower()
    if calm := calmest_face(
        lambda start, stop: shown_frames(driver, timeline.rate, start, stop, FOLLOWED_SIDE_PX), timeline.ticks
    ):
        follower.choose_neutral(calm)
    template = chosen.record(_counted(tracked(follower, ticks), timeline.ticks, progress), timeline.rate)
    template.save(out)
    share(out)
    return len(template)


def _first_player(engines: Mapping[str, str]) -> FrameEngine:
    """Return the first engine that plays motion templates. Raises StudioError if there is none."""
    for name in names(engines):
        engine = load(name, engines)
        if isinstance(engine, FrameEngine) and "template" in engine.info.inputs:
            return engine
    raise StudioError("No engine here plays motion templates; `studio engines` lists them.")


def _check_out(driver: Path, out: Path) -> None:
    """Raise StudioError if the file cannot be written; checked before the work begins."""
    if out.suffix.lower() != TEMPLATE_SUFFIX:
        raise StudioError(f"The name of a motion template ends in {TEMPLATE_SUFFIX}; choose such a name.")
    check_output(driver, out)


def _counted(ticks: Iterable[Driving], total: int, progress: FrameProgress) -> Iterator[Driving]:
    for number, tick in enumerate(ticks, 1):
        yield tick
        progress(number, total)
