"""Motion templates, read by the engine that plays them."""

from pathlib import Path

from engines.api import Engine, MotionTemplate, PlaysTemplates
from shared.errors import StudioError

PLAYS_NONE = "{} plays no motion templates; choose an engine that does, such as liveportrait, or another driver."


def read_template_file(engine: Engine, path: Path) -> MotionTemplate:
    """Raises StudioError for an engine that plays none, and for a file that is none of its own."""
    if not isinstance(engine, PlaysTemplates) or "template" not in engine.spec.driven_by:
        raise StudioError(PLAYS_NONE.format(engine.spec.title))
    return engine.read_template(path)
