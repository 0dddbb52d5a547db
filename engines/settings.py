"""Settings of an engine: STUDIO_<ENGINE>_* variables override the table [<engine>] of studio.toml."""

from typing import ClassVar

from shared.config.layered import PREFIX, LayeredSettings
from shared.config.settings import installed_engines


class EngineSettings(LayeredSettings):
    """Settings of the engine that `TABLE` names: how it runs on this machine.

    The settings class of an engine with options also inherits its options class: values in the settings are then the
    options' defaults on this machine.
    """

    def foreign_prefixes(self) -> tuple[str, ...]:
        """Return the variable prefixes of other engines whose names start with this engine's name."""
        own = self.variable("")
        others = (f"{PREFIX}{name}_".upper() for name in installed_engines())
        return tuple(other for other in others if other.startswith(own) and other != own)


def refuse_settings(engine: str) -> None:
    """Raise StudioError if a variable or a table of studio.toml sets something for an engine without settings."""

    class NoSettings(EngineSettings):
        TABLE: ClassVar[str] = engine

    NoSettings.load()
