"""Settings that an engine has of its own: STUDIO_<ENGINE>_* variables over the table [<engine>] of studio.toml."""

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from shared.config.settings import PREFIX, TOML
from shared.errors import StudioError

NOTHING: Mapping[str, Any] = {}


class EngineSettings(BaseSettings):
    """The settings of the engine `ENGINE`.

    Those named in `MACHINE` say how it runs on this machine. All others are the look: frames depend on them, so a job takes
    them along.
    """

    ENGINE: ClassVar[str]
    MACHINE: ClassVar[frozenset[str]]
    model_config = SettingsConfigDict(extra="forbid", validate_default=True)

    @classmethod
    def load(cls, look: Mapping[str, Any] = NOTHING) -> Self:
        """As they hold here, but for those of `look`. Raises StudioError for a setting that there is not, or a value that
        is none."""
        known = {cls.variable(name) for name in cls.model_fields}
        for name in sorted(os.environ):
            if name.startswith(cls.variable("")) and name not in known:
                raise StudioError(f"{name} is not a setting; `studio config` lists them.")
        try:
            return cls(**look)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise StudioError(f"Setting '{cls.ENGINE}.{name}' is wrong: {first['msg']}; mend or unset it.") from None

    @classmethod
    def variable(cls, name: str) -> str:
        """What a setting is called in the environment."""
        return f"{PREFIX}{cls.ENGINE}_{name}".upper()

    @classmethod
    def origin(cls, name: str) -> str:
        """Where a setting's value comes from: environment, studio.toml or default."""
        if cls.variable(name) in os.environ:
            return "environment"
        return TOML if name in cls._table() else "default"

    @classmethod
    def _table(cls) -> dict[str, Any]:
        table: dict[str, Any] = TomlConfigSettingsSource(cls, TOML).toml_data.get(cls.ENGINE, {})
        return table

    def look(self) -> dict[str, Any]:
        """What frames depend on, as plain values."""
        return self.model_dump(mode="json", exclude=set(self.MACHINE))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, environment, studio.toml; no .env file and no secrets folder."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, cls._table())
