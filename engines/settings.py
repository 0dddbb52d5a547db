"""Settings that an engine has of its own: STUDIO_<ENGINE>_* variables over the table [<engine>] of studio.toml."""

from typing import ClassVar

from shared.config.layered import PREFIX, LayeredSettings
from shared.config.settings import installed_engines


class EngineSettings(LayeredSettings):
    """Settings of the engine that `TABLE` names: how it runs on this machine.

    One that has options inherits them too: what the settings say is then their default here.
    """

    def foreign_prefixes(self) -> tuple[str, ...]:
        """Return how the variables of engines begin whose names begin with this one's."""
        own = self.variable("")
        others = (f"{PREFIX}{name}_".upper() for name in installed_engines())
        return tuple(other for other in others if other.startswith(own) and other != own)


def refuse_settings(engine: str) -> None:
    """Raise StudioError where a variable or a table of studio.toml names a setting of an engine that has none."""

    class NoSettings(EngineSettings):
        TABLE: ClassVar[str] = engine

    NoSettings.load()
