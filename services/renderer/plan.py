"""How a driver is cut into segments, and whether an engine can be moved by it at all."""

from fractions import Fraction
from pathlib import Path

from services.generator.engine import Engine
from shared.errors import StudioError
from shared.jobs.manifest import Driven, Plan
from shared.media import has_pictures
from shared.timeline import read_timeline

SEGMENT_SECONDS = 10.0


def planned(
    driver: Path,
    engine: Engine,
    fps: Fraction | None,
    voice_fps: Fraction,
    segment_seconds: float = SEGMENT_SECONDS,
) -> tuple[Plan, bool]:
    """The plan, and whether the driver is heard. fps: pictures a second that were asked for; None: the driver's own, for
    a voice `voice_fps`. Raises StudioError for a driver that cannot be used."""
    driven: Driven = "motion" if has_pictures(driver) else "voice"
    spec = engine.spec
    check_driven(engine, driven)
    timeline = read_timeline(driver, fps or (voice_fps if driven == "voice" else None))
    plan = Plan(
        driven=driven,
        rate=str(timeline.rate),
        ticks=timeline.ticks,
        segment=max(1, round(segment_seconds * timeline.rate)),
        chained=spec.carries == "pictures" or spec.look_ahead > 0,
    )
    return plan, timeline.has_sound


def check_driven(engine: Engine, driven: Driven) -> None:
    """Raises StudioError for an engine that is not driven so."""
    if driven not in engine.spec.driven_by:
        needs = "a face on video" if driven == "voice" else "a voice"
        raise StudioError(f"{engine.spec.title} is moved by {needs}; give such a driver or choose the engine mesh.")
