"""Planning of a job: how its driver is cut into segments or units, and whether the engine accepts such a driver."""

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from engines.api import Engine, FrameEngine
from engines.clip import Clip, ClipEngine
from engines.guarded import engine_faults
from engines.options import EngineOptions
from engines.registry import is_template, template_suffixes
from shared.avatar.model import Avatar
from shared.errors import StudioError
from shared.jobs.graph import UnitSpec, check_units
from shared.jobs.manifest import DrivenBy, Plan
from shared.media.output_spec import OutputSpec
from shared.media.reader import has_video
from shared.media.timeline import read_timeline
from shared.still_film import has_motion

SEGMENT_S = 10.0
STILL_FILM = "{} shows a still image, so its sound drives the host as a voice."
SLACK = 2  # a segment has this many times the frames that an engine holds back, as some engines take every other frame


class PlannedJob(NamedTuple):
    """A job's plan, made before it is queued.

    heard: whether the result has the driver's sound. notes: sentences for the user about the driver.
    """

    plan: Plan
    heard: bool
    notes: tuple[str, ...]


def planned(
    driver: Path,
    engine: Engine,
    fps: Fraction | None,
    voice_fps: Fraction,
    segment_seconds: float = SEGMENT_S,
) -> PlannedJob:
    """Return the plan of a job for this driver and engine.

    fps: requested frames per second; None for the driver's own, or `voice_fps` for a voice. segment_seconds: wanted
    length of a segment. Raises StudioError for a driver that cannot be used.
    """
    driven = driven_by(driver, engine)
    info = engine.info
    check_driven(engine, driven)
    if driven == "template" and isinstance(engine, FrameEngine):
        template = engine.read_template(driver)
        rate, heard, notes = fps or template.rate, False, tuple[str, ...]()
        ticks = max(1, round(len(template) / template.rate * rate))
    else:
        voice = driven == "voice"
        timeline = read_timeline(driver, fps or (voice_fps if voice else None), "voice" if voice else None)
        rate, heard, ticks, notes = timeline.rate, timeline.has_sound, timeline.ticks, timeline.notes
        if voice and has_video(driver):
            notes = (STILL_FILM.format(driver.name), *notes)
    segment = max(round(segment_seconds * rate), SLACK * (info.frames_held + 1))
    plan = Plan(
        driven=driven,
        rate=str(rate),
        ticks=ticks,
        segment=ticks if isinstance(engine, ClipEngine) else segment,
        chained=info.depends_on == "frames" or info.frames_held > 0,
    )
    return PlannedJob(plan, heard, notes)


def planned_clip(avatar: Avatar, driver: Path, plan: Plan, output: OutputSpec, options: EngineOptions | None) -> Clip:
    """Return the description of the clip that a clip engine makes for this plan."""
    size = output.size or (avatar.plate.width, avatar.plate.height)
    return Clip(
        avatar=avatar, driver=driver, driven=plan.driven, rate=plan.fps, ticks=plan.ticks, size=size, options=options
    )


def declared_units(engine: Engine, clip: Clip, output: OutputSpec) -> tuple[UnitSpec, ...]:
    """Return the units of a clip engine, () for a frame engine. Raises StudioError for a clip that it cannot make."""
    if not isinstance(engine, ClipEngine):
        return ()
    if output.alpha:
        raise StudioError(
            f"{engine.info.title} makes whole frames, from which the host cannot be cut out; choose another codec than "
            f"{output.codec}."
        )
    with engine_faults(engine.info.title):
        units = tuple(engine.units(clip))
    check_units(units)
    return units


def driven_by(driver: Path, engine: Engine) -> DrivenBy:
    """Return what a driver moves the host with: a motion template, the motion of a face, or a voice.

    A motion template, of this or another engine, is recognised by its suffix. A film without motion counts as a voice
    if the engine has voice input. Raises StudioError for a file that has neither frames nor sound.
    """
    own = engine.template_suffixes if isinstance(engine, FrameEngine) else frozenset()
    if is_template(driver, own | template_suffixes()):
        return "template"
    if has_motion(driver):
        return "motion"
    listens = "voice" in engine.info.inputs
    return "voice" if listens or not has_video(driver) else "motion"


def check_driven(engine: Engine, driven: DrivenBy) -> None:
    """Raise StudioError if the engine cannot be driven in this way."""
    if driven in engine.info.inputs and (driven != "template" or isinstance(engine, FrameEngine)):
        return
    if driven == "template":
        raise StudioError(
            f"{engine.info.title} cannot play motion templates; give a video or sound, or choose an engine that "
            "can (`studio engines`)."
        )
    needs = "a face on video" if driven == "voice" else "a voice"
    raise StudioError(
        f"{engine.info.title} is moved by {needs}; give such a driver or choose an engine that it moves (`studio "
        "engines`)."
    )
