"""Settings in layers: what is given, over STUDIO_* variables, over studio.toml, over defaults. One way for all of them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from shared.errors import StudioError

PREFIX = "STUDIO_"
TOML = "studio.toml"
LIST_HINT = "`studio config` lists them"
NOTHING: Mapping[str, Any] = MappingProxyType({})


class LayeredSettings(BaseSettings):
    """Base of the studio's settings and of those that an engine has of its own.

    TABLE: the table of studio.toml that holds them, which also follows STUDIO_ in their variables; "" for the top level.
    """

    TABLE: ClassVar[str] = ""
    model_config = SettingsConfigDict(extra="forbid", validate_default=True)

    @classmethod
    def load(cls, given: Mapping[str, Any] = NOTHING) -> Self:
        """Return the settings; `given` goes before every other layer. Raises StudioError in one sentence, for an unknown
        setting and for a wrong value."""
        try:
            settings = cls(**given)
        except ValidationError as error:
            raise StudioError(cls._sentence(error, given)) from None
        except (OSError, ValueError) as error:
            raise StudioError(f"Settings cannot be read: {error}") from None
        others = settings.foreign_prefixes()
        for variable in sorted(os.environ):
            ours = variable.startswith(cls.variable("")) and not variable.startswith(others)
            if ours and variable.removeprefix(cls.variable("")).lower() not in cls.model_fields:
                raise StudioError(f"{variable} is not a setting; {LIST_HINT}.")
        return settings

    @classmethod
    def variable(cls, name: str) -> str:
        """Return the name of a setting's environment variable."""
        return f"{PREFIX}{cls.TABLE}{'_' if cls.TABLE else ''}{name}".upper()

    @classmethod
    def origin(cls, name: str, given: Mapping[str, Any] = NOTHING) -> str:
        """Return the layer of a setting's value: flag, environment, studio.toml or default."""
        if given.get(name) is not None:
            return "flag"
        if cls.variable(name) in os.environ or name in cls.other_variables():
            return "environment"
        return TOML if name in cls.toml_values() else "default"

    @classmethod
    def toml_values(cls) -> dict[str, Any]:
        """Return what studio.toml in the working directory says of these settings. Raises ValueError where it cannot be
        read."""
        values: dict[str, Any] = TomlConfigSettingsSource(cls, TOML).toml_data
        if not cls.TABLE:
            return values
        table = values.get(cls.TABLE, {})
        if not isinstance(table, dict):
            raise ValueError(f"'{cls.TABLE}'{_toml_place('', cls.TABLE)} is not a table of settings")
        return dict(table)

    @classmethod
    def other_variables(cls) -> dict[str, Any]:
        """Return values of variables with names of their own, which yield to STUDIO_ ones."""
        return {}

    def foreign_prefixes(self) -> tuple[str, ...]:
        """Return how variables begin that belong to others though they begin like ours."""
        return ()

    @classmethod
    def _sentence(cls, error: ValidationError, given: Mapping[str, Any]) -> str:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        shown = f"{cls.TABLE}.{name}" if cls.TABLE else name
        if first["type"] == "extra_forbidden":
            place = "" if name in given else f" in {TOML}"
            return f"'{shown}'{place} is not a setting; {LIST_HINT}."
        reason = str(first["msg"]).removeprefix("Value error, ")
        if not name:
            return f"Settings: {reason}."
        field = cls.model_fields.get(name.split(".")[0])
        secret = field is not None and "SecretStr" in str(field.annotation)
        # An address may hold a password, and a key is one.
        secret = secret or "@" in str(first["input"]) or name.endswith(("_key", "_secret"))
        got = "" if secret else f" (got {str(first['input'])[:200]!r})"
        return f"Setting '{shown}'{cls._line(name, given)}: {reason}{got}."

    @classmethod
    def _line(cls, name: str, given: Mapping[str, Any]) -> str:
        """Where a setting stands in studio.toml, "" where its value comes from elsewhere."""
        top = name.split(".")[0]
        if cls.origin(top, given) != TOML:
            return ""
        return _toml_place(cls.TABLE, top)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The layers; no .env file and no secrets folder."""
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, cls.other_variables()),
            InitSettingsSource(settings_cls, cls.toml_values()),
        )


def _toml_place(wanted: str, name: str) -> str:
    """Where a setting of a table ("" for the top level) stands in studio.toml."""
    table = ""
    for number, line in enumerate(Path(TOML).read_text(encoding="utf-8").splitlines(), 1):
        if heading := re.match(r"\s*\[+\s*([^]]+?)\s*]", line):
            table = heading[1].strip("\"'")
        found = re.match(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*[.=]", line)
        if (table == wanted and found and found[1] == name) or (not wanted and table.split(".")[0] == name):
            return f" in {TOML}, line {number}"
    return f" in {TOML}"
