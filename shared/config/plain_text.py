"""Parses the text of a setting, such as an environment variable, as the setting's type requires."""

import json
import re
import types
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

LISTS = (list, tuple, set, frozenset)
OBJECT = 'give a JSON object, such as {"name": "value"}'
LIST = 'give its parts with commas between them, or as a JSON list, such as ["one", "two"]'


def value_of_text(wanted: Any, value: Any) -> Any:
    """Return a setting's value in a form that pydantic accepts for the setting's type.

    Text for a list is split at commas, semicolons and spaces, or parsed as JSON if it begins with "["; text for a table
    is parsed as JSON. The fields of tables are converted likewise; all other values stay unchanged.

    wanted: the setting's annotation. Raises ValueError with a sentence for the user.
    """
    kind = _without_none(wanted)
    origin = get_origin(kind) or kind
    model = isinstance(origin, type) and issubclass(origin, BaseModel)
    if isinstance(value, str) and (model or origin is dict):
        value = _of_json(value, dict, OBJECT)
    elif isinstance(value, str) and origin in LISTS:
        if value.lstrip().startswith("["):
            return _of_json(value, list, LIST)
        return [part for part in re.split(r"[,;\s]+", value) if part]
    if model and isinstance(value, dict):
        fields = origin.model_fields
        return {
            name: value_of_text(fields[name].annotation, each) if name in fields else each
            for name, each in value.items()
        }
    return value


def _without_none(wanted: Any) -> Any:
    """The annotation without `| None`."""
    if get_origin(wanted) in (Union, types.UnionType):
        others = [each for each in get_args(wanted) if each is not type(None)]
        if len(others) == 1:
            return others[0]
    return wanted


def _of_json(text: str, kind: type, words: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(words) from None
    if not isinstance(value, kind):
        raise ValueError(words)
    return value
