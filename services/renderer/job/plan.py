"""How a driver is cut into segments, and whether an engine can be moved by it at all."""

from fractions import Fraction
from pathlib import Path

from engines.api import FrameEngine
from engines.registry import template_suffixes
from shared.errors import StudioError
from shared.jobs.manifest import DrivenBy, Plan
from shared.media.reader import has_video
from shared.media.timeline import read_timeline

SEGMENT_S = 10.0
SLACK = 2  # times what an engine holds back, which may take every other frame only: a segment never ends up empty


def planned(
    driver: Path,
    engine: FrameEngine,
    fps: Fraction | None,
    voice_fps: Fraction,
    segment_seconds: float = SEGMENT_S,
) -> tuple[Plan, bool]:
    """The plan, and whether the driver is heard. fps: frames a second that were asked for; None: the driver's own, for
    a voice `voice_fps`. Raises StudioError for a driver that cannot be used."""
    driven = driven_by(driver, engine)
    info = engine.info
    check_driven(engine, driven)
    if driven == "template":
        template = engine.read_template(driver)
        rate, heard = fps or template.rate, False
        ticks = max(1, round(len(template) / template.rate * rate))
    else:
        timeline = read_timeline(driver, fps or (voice_fps if driven == "voice" else None))
        rate, heard, ticks = timeline.rate, timeline.has_sound, timeline.ticks
    plan = Plan(
        driven=driven,
        rate=str(rate),
        ticks=ticks,
        segment=max(round(segment_seconds * rate), SLACK * (info.frames_held + 1)),
        chained=info.depends_on == "frames" or info.frames_held > 0,
    )
    return plan, heard


def driven_by(driver: Path, engine: FrameEngine) -> DrivenBy:
    """What a driver moves a host with; a motion template, of this engine or another one, is recognised by its name. Raises
    StudioError for a file that has neither frames nor sound."""
    if driver.suffix.lower() in engine.template_suffixes | template_suffixes():
        return "template"
    return "motion" if has_video(driver) else "voice"


def check_driven(engine: FrameEngine, driven: DrivenBy) -> None:
    """Raises StudioError for an engine that is not driven so."""
    if driven in engine.info.inputs:
        return
    if driven == "template":
        raise StudioError(
            f"{engine.info.title} plays no motion templates; give a video or sound, or choose an engine that does "
            "(`studio engines`)."
        )
    needs = "a face on video" if driven == "voice" else "a voice"
    raise StudioError(
        f"{engine.info.title} is moved by {needs}; give such a driver or choose an engine that it moves (`studio engines`)."
    )
