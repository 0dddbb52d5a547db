"""The API's schema names the answer of every route, and the console's types are those generated from it."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.gateway.api.app import make_gateway_app
from services.gateway.api.types import COMMAND, FILE, declarations, type_of
from services.gateway.models.channel import ChannelState
from services.gateway.models.jobs import JobsMessage
from services.gateway.models.speech import CaptionsMessage
from shared.config.settings import load_settings

Schema = dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> Schema:
    with tempfile.TemporaryDirectory() as home:
        return make_gateway_app(load_settings(home=Path(home), run_root=Path(home)), lambda: None).openapi()


def json_answers(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for path, methods in schema["paths"].items():
        for method, route in methods.items():
            for status, answer in route["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    if kind == "application/json":
                        yield f"{method.upper()} {path} {status}", content.get("schema", {})


def test_every_json_answer_is_a_model_or_a_list_of_one(schema: Schema) -> None:
    found = dict(json_answers(schema))
    assert len(found) > 40
    untyped = [name for name, each in found.items() if not each.get("$ref") and not each.get("items", {}).get("$ref")]
    assert untyped == []


def test_every_refusal_is_one_sentence(schema: Schema) -> None:
    refusals = [each for name, each in json_answers(schema) if re.search(r" [45]\w\w$", name)]
    assert refusals and all(each == {"$ref": "#/components/schemas/Refusal"} for each in refusals)


def test_what_the_state_socket_sends_is_in_the_schema(schema: Schema) -> None:
    models = schema["components"]["schemas"]
    for sent in (ChannelState, JobsMessage, CaptionsMessage):
        assert set(models[sent.__name__]["properties"]) == set(sent.model_fields)
    # The scene is a dataclass with defaults; nevertheless an answer always has all of its fields.
    assert set(models["Scene"]["required"]) == set(models["Scene"]["properties"])
    assert "required" not in models["ScenePatch"]


def test_the_committed_types_are_those_of_the_schema(schema: Schema) -> None:
    generated = declarations(schema["components"]["schemas"])
    assert FILE.read_text(encoding="utf-8") == generated, f"the models changed; run `{COMMAND}` and commit {FILE.name}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "integer"}, "number"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]}, "number | null"),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "(string | null)[]"),
        ({"enum": ["a", "b"], "type": "string"}, '"a" | "b"'),
        ({"const": "off", "type": "string"}, '"off"'),
        ({"type": "object", "additionalProperties": {"$ref": "#/components/schemas/X"}}, "Record<string, X>"),
        (
            {"type": "object", "propertyNames": {"enum": ["a"]}, "additionalProperties": {"type": "boolean"}},
            'Partial<Record<"a", boolean>>',
        ),
    ],
)
def test_a_schema_becomes_its_typescript_type(given: Schema, expected: str) -> None:
    assert type_of(given) == expected


@pytest.mark.parametrize("given", [{}, {"type": "object"}, {"type": "tuple"}])
def test_a_schema_without_a_type_is_refused(given: Schema) -> None:
    with pytest.raises(ValueError):
        type_of(given)
