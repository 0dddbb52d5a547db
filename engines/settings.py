"""Settings that an engine has of its own: STUDIO_<ENGINE>_* variables over the table [<engine>] of studio.toml."""

from shared.config.layered import LayeredSettings


class EngineSettings(LayeredSettings):
    """Settings of the engine that `TABLE` names: how it runs on this machine.

    One that has options inherits them too: what the settings say is then their default here.
    """
