"""Requests for a session: read from JSON or a form, with existing plugins' field names, or refused in one sentence."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from services.gateway.api.session_request import MAX_RIGHTS_BYTES, AskedSession, asked_session
from shared.config.settings import Settings
from tests.support.files.image_files import jpeg

pytestmark = pytest.mark.unit

ROOM: dict[str, Any] = {"livekit_url": "wss://rooms.example", "livekit_token": "t" * 40}


def asked(home: Path, body: bytes, kind: str = "application/json", query: str = "") -> tuple[AskedSession, bytes]:
    """Return the request, and the portrait's bytes, read while its file exists."""
    gateway = SimpleNamespace(settings=Settings(home=home))
    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())],
        "query_string": query.encode(), "app": SimpleNamespace(state=SimpleNamespace(gateway=gateway)),
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def read() -> tuple[AskedSession, bytes]:
        requests = asked_session(Request(scope, receive))
        found = await anext(requests)
        try:
            return found, found.portrait.read_bytes() if found.portrait else b""
        finally:
            await requests.aclose()  # type: ignore[attr-defined]

    try:
        return asyncio.run(read())
    finally:
        assert not list(home.glob(".*")), "the portrait is gone with the answer"


def of_form(home: Path, fields: Mapping[str, str | bytes], query: str = "") -> tuple[AskedSession, bytes]:
    body = b""
    for name, value in fields.items():
        named = '; filename="a.jpg"' if isinstance(value, bytes) else ""
        content = value if isinstance(value, bytes) else value.encode()
        body += f'--B\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"
    return asked(home, body + b"--B--\r\n", "multipart/form-data; boundary=B", query)


def refusal(home: Path, fields: Mapping[str, str | bytes]) -> str:
    with pytest.raises(HTTPException) as raised:
        of_form(home, fields)
    assert raised.value.status_code == 422
    return str(raised.value.detail)


def test_json_and_form_ask_for_the_same(tmp_path: Path) -> None:
    wanted = ROOM | {"avatar": "mona", "engine": "mesh", "options": {"seed": 4}, "width": 640, "label": False}
    of_json, _ = asked(tmp_path, json.dumps(wanted).encode())
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in wanted.items()}
    in_form, _ = of_form(tmp_path, fields)
    assert in_form == of_json and of_json.wanted.options == {"seed": 4} and of_json.wanted.label is False
    assert of_json.wanted.livekit_token.get_secret_value() == ROOM["livekit_token"]
    assert ROOM["livekit_token"] not in f"{of_json!r} {of_json.wanted.model_dump_json()}", "it does not reach a log"


def test_the_names_of_existing_plugins_mean_the_same(tmp_path: Path) -> None:
    plain, _ = asked(tmp_path, json.dumps(ROOM | {"avatar": "mona"}).encode())
    named = {"url": ROOM["livekit_url"], "token": ROOM["livekit_token"], "avatar_id": "mona"}
    assert asked(tmp_path, json.dumps(named).encode())[0] == plain
    assert of_form(tmp_path, named | {"async_mode": "true", "engine": ""})[0] == plain


@pytest.mark.parametrize("name", ["portrait", "avatar_image"])
@pytest.mark.parametrize("in_address", [False, True])
def test_a_portrait_comes_with_who_may_use_it(tmp_path: Path, name: str, in_address: bool) -> None:
    image = jpeg()
    fields: dict[str, str | bytes] = ROOM | ({} if in_address else {"rights": " my own face "}) | {name: image}
    request, kept = of_form(tmp_path, fields, "rights=my+own+face" if in_address else "")
    assert request.rights == "my own face" and kept == image
    assert request.portrait is not None and not request.portrait.exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"portrait": b"x"}, "A portrait needs a statement"),
        ({"portrait": b"x", "rights": "  "}, "A portrait needs a statement"),
        ({"portrait": b"x", "rights": "a", "avatar": "mona"}, "not both"),
        ({"portrait": b"x", "avatar_image": b"y", "rights": "a"}, "not both"),
        ({"avatar_image_url": "http://169.254.169.254/"}, "The studio does not download images"),
        ({"options": "{"}, "'options' must be a JSON object."),
        ({"options": "[" * 3000}, "'options' must be a JSON object."),
        ({"nonsense": "x"}, "unexpected field 'nonsense'"),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, fields: dict[str, str | bytes], said: str
) -> None:
    assert said in refusal(tmp_path, ROOM | fields)


def test_rights_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(HTTPException) as raised:
        of_form(tmp_path, ROOM | {"portrait": b"x", "rights": "x" * (MAX_RIGHTS_BYTES + 1)})
    assert raised.value.status_code == 413
    with pytest.raises(HTTPException, match="at most 2 KB"):
        of_form(tmp_path, ROOM | {"portrait": b"x"}, "rights=" + "x" * (MAX_RIGHTS_BYTES + 1))


def test_an_empty_portrait_is_none(tmp_path: Path) -> None:
    request, _ = of_form(tmp_path, ROOM | {"portrait": b"", "avatar": "mona"})
    assert request.portrait is None and request.wanted.avatar == "mona"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(HTTPException, match="The body is not JSON"):
        asked(tmp_path, body)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"livekit_url": 5}, "livekit_url"), ({"livekit_token": "t" * 8001}, "livekit_token"),
        ({"transport": "tcp"}, "transport"),
        ({"options": []}, "options"), ({"options": {"a": {"b": 1}}}, "options"), ({"width": "wide"}, "width"),
        ({"home": "/etc"}, "home"), ({"avatar": "x" * 65}, "avatar"), ({"room_name": "x" * 501}, "room_name"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_is_named_and_not_repeated(
    tmp_path: Path, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(RequestValidationError) as raised:
        asked(tmp_path, json.dumps(ROOM | changes).encode())
    first = raised.value.errors()[0]
    assert first["loc"][:2] == ("body", field)
    assert ROOM["livekit_token"] not in str(raised.value.errors()) and "input" not in first


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"x"'])
def test_json_that_is_no_object_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(RequestValidationError):
        asked(tmp_path, body)
