"""The API's OpenAPI schema: FastAPI's, plus the models that FastAPI does not know of.

These are the messages of the WebSockets and the JSON body of a text to speak.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from services.gateway.models.conversation import ConversationError, ConversationLine, ConversationState, TurnLatency
from services.gateway.models.jobs import JobsMessage
from services.gateway.models.speech import CaptionsMessage, TextToSay

REFERENCE = "#/components/schemas/"


def describe_answers(app: FastAPI) -> None:
    """Add to `app`'s schema the models of WebSocket messages and of requests that a route parses itself.

    Every field of an answer is marked as required.
    """
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _, found = models_json_schema(
                [
                    (JobsMessage, "serialization"),
                    (CaptionsMessage, "serialization"),
                    (ConversationState, "serialization"),
                    (ConversationLine, "serialization"),
                    (TurnLatency, "serialization"),
                    (ConversationError, "serialization"),
                    (TextToSay, "validation"),
                ],
                ref_template=REFERENCE + "{model}",
            )
            schema = described()
            models = schema.setdefault("components", {}).setdefault("schemas", {})
            for name, model in found["$defs"].items():
                models.setdefault(name, model)
            _require_all(schema)
        return described()

    app.openapi = openapi  # type: ignore[method-assign]


def _require_all(schema: dict[str, Any]) -> None:
    # Fields with a default, such as the scene's, would count as optional, but no answer ever leaves a field out.
    models = schema["components"]["schemas"]
    taken = {
        name
        for methods in schema["paths"].values()
        for route in methods.values()
        for name in _models(route.get("requestBody"))
    }
    for name, model in models.items():
        if name not in taken and "properties" in model:
            model["required"] = list(model["properties"])


def _models(part: Any) -> Iterator[str]:
    """Yield the names of the models that a part of a schema refers to directly, not through other models."""
    if isinstance(part, dict):
        if str(part.get("$ref", "")).startswith(REFERENCE):
            yield part["$ref"].removeprefix(REFERENCE)
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _models(each)
