"""The guard in front of every route checks host, origin, token and size before it reads a byte of the body."""

import asyncio
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from services.gateway.api.security import HEADERS, MAX_BODY_BYTES, Guard, same_token
from shared.config.settings import Settings
from tests.support.running.gateway_app import HOST, GatewayApp

pytestmark = pytest.mark.unit

TOKEN = "t0ken-" + "x" * 37
OPEN = {("GET", "/api/v1/version"), ("GET", "/metrics")}
FOREIGN_HOSTS = [
    "", "evil.example", "127.0.0.1.evil.example", "evil.example:8750", "localhost@evil.example", "localhost/evil",
    "127.0.0.2", "[::2]", "[", "localhost:8750:80", "xn--", "local host",
]  # fmt: skip
FORM = "multipart/form-data; boundary=x"


@dataclass
class Guarded:
    """A guarded application that reads the whole body of every request that the guard lets through.

    chunks: the body in the pieces in which the server receives it. read: bytes that the application read; None where it
    was not called.
    """

    chunks: list[bytes] = field(default_factory=list)
    settings: Settings = field(default_factory=Settings)
    taken: int = 0  # chunks requested so far
    read: int | None = None

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.read = len(await Request(scope, receive).body())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def _receive(self) -> Message:
        self.taken += 1
        more = self.taken < len(self.chunks)
        return {"type": "http.request", "body": self.chunks[self.taken - 1] if self.chunks else b"", "more_body": more}

    def ask(self, method: str = "POST", path: str = "/api/v1/x", kind: str = "http", **headers: str | bytes) -> int:
        """Send a request; return the status of the answer. headers: by name, with `_` for `-`."""
        values = {"host": HOST, "authorization": f"Bearer {TOKEN}"} | headers
        raw = [
            (name.replace("_", "-").encode(), value if isinstance(value, bytes) else value.encode())
            for name, value in values.items()
        ]
        scope: dict[str, Any] = {"type": kind, "path": path, "headers": raw, "query_string": b"", "client": None}
        scope |= {"app": SimpleNamespace(state=SimpleNamespace(token=TOKEN)), "http_version": "1.1"}
        scope |= {"method": method} if kind == "http" else {}
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        try:
            asyncio.run(Guard(self._app, self.settings)(scope, self._receive, send))
        except HTTPException as error:  # the web framework would answer with this status
            return error.status_code
        return int(next(each["status"] for each in sent if "status" in each))


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/metrics"), ("PATCH", "/api/v1/channels/main")])
def test_a_host_that_is_not_the_studios_gets_nothing(inside: GatewayApp, host: str, method: str, path: str) -> None:
    answer = inside.client.request(method, path, headers=inside.bearer | {"Host": host})
    assert answer.status_code == 421 and answer.json()["detail"].endswith(".")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "localhost.", "127.0.0.1", "[::1]:8750"])
def test_the_loopback_names_are_the_studios_on_any_port(inside: GatewayApp, host: str) -> None:
    assert inside.client.get("/api/v1/version", headers={"Host": host}).status_code == 200


def test_the_address_listened_on_and_the_names_of_the_settings_are_the_studios() -> None:
    guarded = Guarded(settings=Settings(host="192.168.1.5", allowed_hosts=["Studio.Example."]))
    for host in ("192.168.1.5:8750", "studio.example", "STUDIO.example:80"):
        assert guarded.ask("GET", host=host) == 200, host
    for host in ("192.168.1.6", "example", "a.studio.example"):
        assert guarded.ask("GET", host=host) == 421, host


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8751", ""])
def test_another_sites_page_may_read_no_answer_and_change_nothing(inside: GatewayApp, origin: str) -> None:
    before = inside.gateway.scene_store.scene
    headers = inside.bearer | {"Origin": origin}
    assert inside.client.patch(f"{inside.channel}/scene", json={"label": False}, headers=headers).status_code == 403
    assert inside.client.post(f"{inside.channel}/neutral/retake", headers=headers).status_code == 403
    assert inside.gateway.scene_store.scene is before
    answer = inside.client.get(inside.channel, headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control")], "the browser keeps it from it"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["state", "preview", "driver", "watch", "speech"])
def test_another_sites_page_opens_no_socket(inside: GatewayApp, path: str) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        with pytest.raises(WebSocketDisconnect), inside.socket(f"{inside.channel}/{path}", **headers):
            pytest.fail("it is open")


def test_the_studios_own_page_may(inside: GatewayApp) -> None:
    own = inside.bearer | {"Origin": f"http://{HOST}"}
    assert inside.client.patch(f"{inside.channel}/scene", json={}, headers=own).status_code == 200
    with inside.socket(f"{inside.channel}/state", Origin=f"http://{HOST}") as socket:
        socket.send_json({"token": inside.token})
        assert socket.receive_json()["channel"] == "main"


def test_no_route_but_the_open_ones_answers_without_the_token(inside: GatewayApp) -> None:
    schema = inside.client.get("/api/v1/openapi.json").json()
    asked = [(method.upper(), path) for path, methods in schema["paths"].items() for method in methods]
    assert len(asked) > 40 and set(asked) >= OPEN
    wrong = [{}, {"Authorization": f"Basic {inside.token}"}, {"Authorization": f"Bearer {inside.token[:-1]}"}]
    for method, path in asked:
        url = re.sub(r"\{\w+\}", "sample", path.replace("{channel}", "main"))
        statuses = {inside.client.request(method, url, headers=headers).status_code for headers in wrong}
        assert statuses == ({200} if (method, path) in OPEN else {401}), (method, path)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"authorization": f"Bearer {TOKEN}"}, 200), ({"authorization": f"bearer  {TOKEN} "}, 200),
        ({"authorization": "", "x_api_key": TOKEN}, 200), ({"x_api_key": "", "authorization": f"BEARER {TOKEN}"}, 200),
        ({"authorization": ""}, 401), ({"authorization": "Bearer"}, 401), ({"authorization": "Bearer "}, 401),
        ({"authorization": TOKEN}, 401), ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": f"Bearer {TOKEN}x"}, 401), ({"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"authorization": f"Bearer {TOKEN.upper()}"}, 401), ({"authorization": b"Bearer \xff\xfe"}, 401),
        ({"x_api_key": "wrong"}, 401), ({"authorization": "", "x_api_key": f"Bearer {TOKEN}"}, 401),
    ],
)  # fmt: skip
def test_only_the_whole_token_opens_the_api(given: dict[str, Any], status: int) -> None:
    for path in ("/api/v1/jobs", "/v1/session"):
        assert Guarded().ask("DELETE", path, **given) == status


@pytest.mark.parametrize("given", ["", "t", TOKEN[:-1], TOKEN + "\0", "\ud800", "\u00e9" * 43, TOKEN.swapcase()])
def test_a_token_is_compared_whole_and_whatever_it_is_made_of(given: str) -> None:
    assert same_token(TOKEN, TOKEN) and not same_token(given, TOKEN)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"host": "evil.example"}, 421), ({"origin": "https://evil.example"}, 403),
        ({"authorization": "Bearer x"}, 401),
        ({"content_length": str(MAX_BODY_BYTES + 1)}, 413), ({"content_length": "9" * 19}, 413),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_before_its_body_is_taken_in(given: dict[str, str], status: int) -> None:
    guarded = Guarded([b"x" * 10])
    assert guarded.ask(**given) == status
    assert guarded.taken == 0 and guarded.read is None


@pytest.mark.parametrize("declared", [None, "1", "-1", "+1", "1e3", "0x10", "9" * 20, "\u0661"])
def test_a_body_is_bounded_whatever_its_length_is_declared_as(declared: str | None) -> None:
    given = {} if declared is None else {"content_length": declared}
    most = Guarded([b"x" * (MAX_BODY_BYTES - 1), b"x"])
    assert most.ask(**given) == 200 and most.read == MAX_BODY_BYTES
    more = Guarded([b"x" * MAX_BODY_BYTES, b"x", b"never asked for"])
    assert more.ask(**given) == 413
    assert more.taken == 2 and more.read is None


@pytest.mark.parametrize(
    ("method", "path", "kind", "free"),
    [
        ("POST", "/api/v1/avatars", FORM, True), ("POST", "/api/v1/channels/main/speech", FORM.upper(), True),
        ("POST", "/api/v1/sessions", FORM, True), ("POST", "/api/v1/avatars", "application/json", False),
        ("PUT", "/api/v1/avatars", FORM, False), ("POST", "/api/v1/avatars/x", FORM, False),
        ("PATCH", "/api/v1/channels/main/scene", FORM, False), ("POST", "/api/v1/channels/a/b/speech", FORM, False),
        ("POST", "/api/v1/avatars", "", False),
    ],
)  # fmt: skip
def test_only_the_forms_of_uploads_may_be_larger(method: str, path: str, kind: str, free: bool) -> None:
    guarded = Guarded([b"x" * MAX_BODY_BYTES] * 2)
    assert guarded.ask(method, path, content_type=kind) == (200 if free else 413)
    assert guarded.read == (2 * MAX_BODY_BYTES if free else None)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200), ("GET", "/web/console/main.js", {}, 200), ("GET", "/nowhere", {}, 404),
        ("GET", "/", {"Host": "evil.example"}, 421), ("POST", "/api/v1/jobs", {}, 401),
        ("GET", "/api/v1/jobs", {}, 401), ("POST", "/", {"Origin": "null"}, 403),
    ],
)  # fmt: skip
def test_every_answer_carries_the_same_policy(
    inside: GatewayApp, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = inside.client.request(method, path, headers=headers)
    assert answer.status_code == status
    assert HEADERS.items() <= dict(answer.headers).items()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert ("www-authenticate" in answer.headers) == (status == 401)
