"""Records a driver video's motion as a template, to be played on any avatar and as often as one likes."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from engines.api import Driving, PlaysTemplates
from engines.registry import NONE, load
from services.renderer.job.plan import check_driven
from services.renderer.pipeline.driver import MAX_SIDE_PX, tracked
from shared.errors import StudioError
from shared.face.follower import FaceFollower
from shared.media.reader import has_video
from shared.media.timeline import read_timeline, shown_frames
from shared.runtime.files import check_output
from shared.runtime.progress import FrameProgress

SUFFIX = ".npz"


def record_motion(
    driver: Path,
    out: Path,
    *,
    engine: str = "liveportrait",
    engines: Mapping[str, str] = NONE,
    progress: FrameProgress = lambda done, total: None,
) -> int:
    """Write `out` with the motion of the face that a video shows, at the video's rate; returns the number of frames.

    engine: who is to play it, and the only one who can. engines: see `load`. `out` appears whole or not at all. Raises
    StudioError.
    """
    chosen = load(engine, engines)
    check_driven(chosen, "template")
    if reason := chosen.unavailable():
        raise StudioError(reason)
    _check_out(driver, out)
    if not has_video(driver):
        raise StudioError(f"{driver.name} has no frames; record from a video that shows a face.")
    assert isinstance(chosen, PlaysTemplates)
    timeline = read_timeline(driver)
    ticks = shown_frames(driver, timeline.rate, 0, timeline.ticks, MAX_SIDE_PX)
    template = chosen.record(_counted(tracked(FaceFollower(), ticks), timeline.ticks, progress), timeline.rate)
    template.save(out)
    return len(template)


def _check_out(driver: Path, out: Path) -> None:
    """Raises StudioError where it cannot be written, before the work and not after it."""
    if out.suffix.lower() != SUFFIX:
        raise StudioError(f"A motion template ends in {SUFFIX}; choose such a name.")
    check_output(driver, out)


def _counted(ticks: Iterable[Driving], total: int, progress: FrameProgress) -> Iterator[Driving]:
    for number, tick in enumerate(ticks, 1):
        yield tick
        progress(number, total)
