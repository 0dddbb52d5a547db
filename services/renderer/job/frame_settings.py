"""The look: what frames depend on of an engine's own settings. A job takes it along."""

from collections.abc import Mapping
from typing import Any

from engines.api import Configurable, Engine
from shared.errors import StudioError
from shared.scene import no_such_quality


def look_of(engine: Engine, quality: str) -> dict[str, Any]:
    """As the settings hold here, but for the quality where one is asked for. Raises StudioError."""
    look = engine.settings().look() if isinstance(engine, Configurable) else {}
    names = [name for name, _ in engine.spec.qualities]
    if quality and quality not in names:
        raise StudioError(no_such_quality(engine.spec.title, names))
    return look | ({"quality": quality} if quality else {})


def with_look(engine: Engine, look: Mapping[str, Any]) -> Engine:
    """The engine with this look, whatever the settings are here."""
    return engine.under(look) if isinstance(engine, Configurable) else engine
