"""Base class of all settings. Layers, strongest first: given values, STUDIO_* variables, studio.toml, defaults."""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shared.config.plain_text import value_of_text
from shared.config.toml_file import TOML, line_of, toml_data
from shared.errors import StudioError
from shared.runtime.shown_text import one_line

PREFIX = "STUDIO_"
LIST_HINT = "`studio config` lists them"
NOTHING: Mapping[str, Any] = MappingProxyType({})


class LayeredSettings(BaseSettings):
    """Base of the studio's settings and of the settings that engines, voices and the conversation define.

    TABLE: the table of studio.toml that holds the settings, "" for the top level; it also follows STUDIO_ in the names
    of their variables. REFUSED_EMPTY: settings for which an empty variable is an error; for all others it counts as
    not set.
    """

    TABLE: ClassVar[str] = ""
    REFUSED_EMPTY: ClassVar[frozenset[str]] = frozenset()
    model_config = SettingsConfigDict(extra="forbid", validate_default=True)

    @classmethod
    def load(cls, given: Mapping[str, Any] = NOTHING) -> Self:
        """Return the settings from all layers; `given` is the strongest.

        Raises StudioError for an unknown setting or a wrong value; its sentence names where the setting comes from.
        """
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
                raise StudioError(f"{one_line(variable, 100)} is not a setting; {LIST_HINT}.")
        return settings

    @classmethod
    def variable(cls, name: str) -> str:
        """Return the name of a setting's environment variable."""
        return f"{PREFIX}{cls.TABLE}{'_' if cls.TABLE else ''}{name}".upper()

    @classmethod
    def variables(cls) -> dict[str, tuple[str, str]]:
        """Return, for each setting that a variable sets, the variable's name and text.

        An empty variable sets nothing, except for a setting in REFUSED_EMPTY.
        """
        held = {name.upper(): name for name in sorted(os.environ, reverse=True)}  # of two spellings, capitals win
        found = {name: held.get(cls.variable(name), "") for name in cls.model_fields}
        found |= {
            name: plain for name, plain in cls.other_variables().items() if not os.environ.get(found.get(name, ""))
        }
        return {
            name: (variable, os.environ[variable])
            for name, variable in found.items()
            if os.environ.get(variable) or (name in cls.REFUSED_EMPTY and variable in os.environ)
        }

    @classmethod
    def origin(cls, name: str, given: Mapping[str, Any] = NOTHING) -> str:
        """Return the layer of a setting's value: flag, environment, studio.toml or default."""
        if given.get(name) is not None:
            return "flag"
        if name in cls.variables():
            return "environment"
        return TOML if name in cls.toml_values() else "default"

    @classmethod
    def toml_values(cls) -> dict[str, Any]:
        """Return the values of these settings in studio.toml in the working directory.

        Raises StudioError if the file cannot be read.
        """
        values = toml_data()
        if not cls.TABLE:
            return values
        table = values.get(cls.TABLE, {})
        if not isinstance(table, dict):
            raise StudioError(
                f"'{cls.TABLE}' in {TOML}, line {line_of([cls.TABLE])}, is not a table; begin it with [{cls.TABLE}]."
            )
        return dict(table)

    @classmethod
    def other_variables(cls) -> dict[str, str]:
        """Return, by setting, alternative variables of other tools; the STUDIO_ variables take precedence over them."""
        return {}

    def foreign_prefixes(self) -> tuple[str, ...]:
        """Return prefixes of variables that begin with this class's prefix but belong to other settings classes."""
        return ()

    @classmethod
    def _sentence(cls, error: ValidationError, given: Mapping[str, Any]) -> str:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        shown = f"{cls.TABLE}.{name}" if cls.TABLE else name
        if first["type"] == "extra_forbidden":
            return f"'{one_line(shown, 100)}'{cls._place(name, given, ',')} is not a setting; {LIST_HINT}."
        reason = str(first["msg"]).removeprefix("Value error, ")
        if not name:
            return f"Settings: {reason}."
        field = cls.model_fields.get(name.split(".")[0])
        secret = field is not None and "SecretStr" in str(field.annotation)
        # Never show the input if it is an address that may contain a password, or a key.
        secret = secret or "@" in str(first["input"]) or name.endswith(("_key", "_secret"))
        got = "" if secret else f" (got {str(first['input'])[:200]!r})"
        return f"Setting '{shown}'{cls._place(name, given)}: {reason}{got}."

    @classmethod
    def _place(cls, name: str, given: Mapping[str, Any], behind: str = "") -> str:
        """The place of a setting's value as words for a sentence: its variable or its line of studio.toml, else "".

        behind: text to append after a line of studio.toml.
        """
        top = name.split(".")[0]
        origin = cls.origin(top, given)
        if origin == "environment":
            return f" in {cls.variables()[top][0]}"
        if origin != TOML:
            return ""
        path = [*cls.TABLE.split("."), *name.split(".")] if cls.TABLE else name.split(".")
        return f" in {TOML}, line {line_of(path)}{behind}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the layers, strongest first, without pydantic's .env file and secrets folder."""
        texts = {name: text for name, (_, text) in cls.variables().items()}
        layers = (cls._read(texts), cls._read(cls.toml_values()))
        return (init_settings, *(InitSettingsSource(settings_cls, layer) for layer in layers))

    @classmethod
    def _read(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of one layer, with lists and tables parsed where they are text. Raises StudioError."""
        read = {}
        for name, value in values.items():
            try:
                read[name] = (
                    value_of_text(cls.model_fields[name].annotation, value) if name in cls.model_fields else value
                )
            except ValueError as error:
                shown = f"{cls.TABLE}.{name}" if cls.TABLE else name
                raise StudioError(f"Setting '{shown}'{cls._place(name, NOTHING)}: {error}.") from None
        return read
