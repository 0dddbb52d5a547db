"""The look: what frames depend on of an engine's own settings. A job takes it along."""

from collections.abc import Mapping
from typing import Any

from services.generator.engine import Configurable, Engine
from shared.errors import StudioError


def look_of(engine: Engine, quality: str) -> dict[str, Any]:
    """As the settings hold here, but for the quality where one is asked for. Raises StudioError."""
    look = engine.settings().look() if isinstance(engine, Configurable) else {}
    names = [name for name, _ in engine.spec.qualities]
    if quality and quality not in names:
        there = f"there is {', '.join(names)}" if names else "it has but one"
        raise StudioError(f"{engine.spec.title} has no quality '{quality[:40]}'; {there}.")
    return look | ({"quality": quality} if quality else {})


def with_look(engine: Engine, look: Mapping[str, Any]) -> Engine:
    """The engine with this look, whatever the settings are here."""
    return engine.under(look) if isinstance(engine, Configurable) else engine
