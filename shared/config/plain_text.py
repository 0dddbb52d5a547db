"""Settings as text: what a variable holds, read as the setting's type wants it."""

import json
import re
import types
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

LISTS = (list, tuple, set, frozenset)
OBJECT = 'give a JSON object, such as {"name": "value"}'
LIST = 'give its parts with commas between them, or as a JSON list, such as ["one", "two"]'


def value_of_text(wanted: Any, value: Any) -> Any:
    """Return a setting's value as its type can be made of it.

    Of a list its parts, which stand between commas or spaces or are JSON, of a table what its JSON says; all else as it
    is. Goes into tables. Raises ValueError in words.

    wanted: the setting's annotation.
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
    """The annotation of what may be left out."""
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
