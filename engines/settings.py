"""Settings that an engine has of its own: STUDIO_<ENGINE>_* variables over the table [<engine>] of studio.toml."""

from typing import Any, ClassVar

from shared.config.layered import LayeredSettings


class EngineSettings(LayeredSettings):
    """Settings of the engine that `TABLE` names.

    Those named in `MACHINE` say how it runs on this machine. All others are the look: frames depend on them, so a job takes
    them along.
    """

    MACHINE: ClassVar[frozenset[str]] = frozenset()

    def frame_settings(self) -> dict[str, Any]:
        """Return what frames depend on, as plain values."""
        return self.model_dump(mode="json", exclude=set(self.MACHINE))
