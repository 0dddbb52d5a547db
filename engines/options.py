"""Options of an engine: what its frames depend on besides avatar and driver, chosen per scene and per job.

Options are checked wherever they enter the studio. A process that may load the engine checks them with the engine's
class (`Engine.options`). A process that must stay light, such as the gateway, checks them with the JSON schema that the
generator reports (`options_of_schema`). Both produce the same error sentences.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.config import JsonDict

from shared.errors import StudioError

GOT_CHARACTERS = 60
KINDS: Mapping[str, type] = {"boolean": bool, "integer": int, "number": float, "string": str}
LIMITS = {
    "minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt", "multipleOf": "multiple_of",
    "minLength": "min_length", "maxLength": "max_length", "pattern": "pattern",
}  # fmt: skip
TITLES = "titles"  # key in the JSON schema of a `Literal`


class EngineOptions(BaseModel):
    """Base class of an engine's options.

    Every field is a boolean, a number, a string or a `Literal` of strings, with a default and a description, because
    forms and `--option` can show only these. `json_schema_extra=titles({value: title})` sets the titles that people
    read for the values of a `Literal`.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        regex_engine="python-re",
        field_title_generator=lambda name, _: name.replace("_", " ").capitalize(),
    )


Options = TypeVar("Options", bound=EngineOptions)


def titles(of: Mapping[str, str]) -> JsonDict:
    """Return the `json_schema_extra` of a `Literal` with these titles for its values."""
    return {TITLES: {value: title for value, title in of.items()}}  # noqa: C416 - values of any JSON type


def checked_options(kind: type[Options], title: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> Options:
    """Return `given` over `defaults`; entries of `defaults` that are not options are ignored.

    title: the engine's title. Raises StudioError in one sentence: which option, which values are valid, which value it
        got.
    """
    known = {name: value for name, value in defaults.items() if name in kind.model_fields}
    try:
        return kind.model_validate(known | dict(given))
    except ValidationError as error:
        first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        raise StudioError(f"{title} has no option '{name[:GOT_CHARACTERS]}'; it has {', '.join(kind.model_fields)}.")
    reason = str(first["msg"]).removeprefix("Value error, ")
    got = repr(first["input"])[:GOT_CHARACTERS]
    raise StudioError(f"Option '{name}' of {title}: {reason} (got {got})." if name else f"{title}: {reason}.")


def refuse_options(title: str, given: Mapping[str, Any]) -> None:
    """Raise StudioError if options are given for an engine that has none."""
    if given:
        raise StudioError(f"{title} has no options; leave out '{next(iter(given))[:GOT_CHARACTERS]}'.")


def options_schema(options: EngineOptions) -> dict[str, Any]:
    """Return the JSON schema of an engine's options, with `options` as the defaults.

    Raises StudioError for a field whose type no form can show.
    """
    schema, here = type(options).model_json_schema(), options.model_dump(mode="json")
    for name, about in schema.get("properties", {}).items():
        if about.get("type") not in KINDS:
            raise StudioError(f"Option '{name}' is not a boolean, a number, a string or a Literal of strings.")
        about["default"] = here[name]
    return schema


def options_of_schema(schema: Mapping[str, Any]) -> type[EngineOptions]:
    """Return a class that checks options against a schema made by `options_schema`."""
    fields: dict[str, Any] = {}
    for name, about in schema.get("properties", {}).items():
        kind = KINDS[about["type"]]
        values = tuple(about["enum"]) if "enum" in about else (about["const"],) if "const" in about else ()
        limits = {ours: about[theirs] for theirs, ours in LIMITS.items() if theirs in about}
        fields[name] = (Literal.__getitem__(values) if values else kind, Field(about["default"], **limits))
    return create_model("SchemaOptions", __base__=EngineOptions, **fields)


def value_title(kind: type[EngineOptions] | None, name: str, value: str) -> str:
    """Return the title that people read for a value of an option; the value itself if it has no title."""
    field = None if kind is None else kind.model_fields.get(name)
    extra = field.json_schema_extra if field is not None else None
    found = extra.get(TITLES) if isinstance(extra, dict) else None
    return str(found.get(value, value)) if isinstance(found, dict) else value
