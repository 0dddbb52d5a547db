"""First message on a socket: without a valid token, or with content that no page sends, the socket is closed."""

import json

import pytest
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from services.gateway.api import sockets, watch_socket
from services.gateway.api.sockets import BAD_MESSAGE, BAD_TOKEN, MAX_BAD_MESSAGES, NO_CHANNEL, NOT_WANTED, TAKEN
from services.gateway.audience.links import WatchRefusal
from tests.support.files.image_files import jpeg
from tests.support.running.gateway_app import GatewayApp

pytestmark = pytest.mark.unit

OPERATORS = ["state", "preview", "driver"]
NO_TOKENS = [
    "", "token", "{", "[]", "null", '"token"', "{}", '{"token": null}', '{"token": 5}', '{"token": ["TOKEN"]}',
    '{"token": ""}', '{"token": "TOKE"}', '{"token": "TOKENx"}', '{"token": " TOKEN"}', '{"token": "\\ud800"}',
    '{"TOKEN": "TOKEN"}', "[" * 4000, '{"token": "TOKEN", "more": "' + "x" * 4096 + '"}',
]  # fmt: skip


def closure(socket: WebSocketTestSession) -> tuple[int, str]:
    """Wait until the socket is closed; return the code and the reason."""
    with pytest.raises(WebSocketDisconnect) as raised:
        while True:
            socket.receive_text()
    return raised.value.code, raised.value.reason


@pytest.mark.parametrize("path", OPERATORS)
@pytest.mark.parametrize("first", NO_TOKENS)
def test_what_shows_no_token_is_closed_and_learns_nothing(inside: GatewayApp, path: str, first: str) -> None:
    with inside.socket(f"{inside.channel}/{path}") as socket:
        socket.send_text(first.replace("TOKEN", inside.token))
        message = socket.receive()
        assert message["type"] == "websocket.close" and message["code"] == BAD_TOKEN
        assert message["reason"].endswith(".") and inside.token not in message["reason"]


@pytest.mark.parametrize("path", OPERATORS)
def test_a_first_message_of_bytes_is_none(inside: GatewayApp, path: str) -> None:
    with inside.socket(f"{inside.channel}/{path}") as socket:
        socket.send_bytes(json.dumps({"token": inside.token}).encode())
        assert closure(socket)[0] == BAD_TOKEN


@pytest.mark.parametrize("path", [*OPERATORS, "watch"])
def test_one_who_says_nothing_is_closed_in_time(inside: GatewayApp, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sockets, watch_socket):
        monkeypatch.setattr(module, "TOKEN_WAIT_S", 0.01)
    with inside.socket(f"{inside.channel}/{path}") as socket:
        assert closure(socket)[0] == (WatchRefusal.BAD.code if path == "watch" else BAD_TOKEN)


@pytest.mark.parametrize("path", [*OPERATORS, "watch"])
def test_one_who_leaves_at_once_is_no_error(inside: GatewayApp, path: str) -> None:
    with inside.socket(f"{inside.channel}/{path}"):
        pass
    assert inside.gateway.audience.watching() == {"full": 0, "roi": 0}


@pytest.mark.parametrize("path", OPERATORS)
def test_a_token_opens_only_the_studios_own_channel(inside: GatewayApp, path: str) -> None:
    with inside.socket(f"/api/v1/channels/other/{path}") as socket:
        socket.send_json({"token": inside.token})
        assert closure(socket) == (NO_CHANNEL, "This studio's channel is 'main'.")


@pytest.mark.parametrize("path", OPERATORS)
def test_the_token_of_a_header_opens_no_socket(inside: GatewayApp, path: str) -> None:
    with inside.socket(f"{inside.channel}/{path}?token={inside.token}", **inside.bearer) as socket:
        socket.send_json({})
        assert closure(socket)[0] == BAD_TOKEN


def test_the_state_follows_the_scene(inside: GatewayApp) -> None:
    with inside.socket(f"{inside.channel}/state") as socket:
        socket.send_json({"token": inside.token})
        assert socket.receive_json()["scene"]["neutral"] == inside.gateway.scene_store.scene.neutral
        wanted = inside.gateway.scene_store.retake().neutral
        socket.send_json({"neutral": 99})  # this socket ignores messages from a page
        while (state := socket.receive_json()).get("scene", {}).get("neutral") != wanted:
            assert state.get("scene", {}).get("neutral") in (None, wanted - 1)


def test_a_viewer_that_says_what_no_page_says_is_closed(inside: GatewayApp) -> None:
    with inside.socket(f"{inside.channel}/preview") as socket:
        socket.send_json({"token": inside.token})
        for _ in range(MAX_BAD_MESSAGES):
            socket.send_text("nonsense")
        assert closure(socket)[0] == BAD_MESSAGE
    assert sum(inside.gateway.audience.watching().values()) == 0, "and is no viewer any more"


def test_a_viewer_is_counted_by_its_mode_while_it_watches(inside: GatewayApp) -> None:
    with inside.socket(f"{inside.channel}/preview?mode=roi") as socket:
        socket.send_json({"token": inside.token})
        socket.send_text('{"mode": "roi"}')
        while inside.get(inside.channel)["outputs"]["preview"]["viewers"] != {"full": 0, "roi": 1}:
            pass
    assert inside.gateway.audience.watching() == {"full": 0, "roi": 0}


def test_a_browser_drives_only_where_it_is_the_driver(inside: GatewayApp) -> None:
    with inside.socket(f"{inside.channel}/driver") as socket:
        socket.send_json({"token": inside.token})
        assert closure(socket) == (NOT_WANTED, "The driver is not the browser; choose it first.")
    assert not inside.gateway.remote.taken


def test_one_browser_drives_at_a_time_and_until_another_driver_is_chosen(inside: GatewayApp) -> None:
    inside.gateway.scene_store.change(driver="browser")
    try:
        with inside.socket(f"{inside.channel}/driver") as first:
            first.send_json({"token": inside.token})
            while not inside.gateway.remote.taken:
                inside.get("/api/v1/version")
            with inside.socket(f"{inside.channel}/driver") as second:
                second.send_json({"token": inside.token})
                assert closure(second)[0] == TAKEN
            assert inside.gateway.remote.taken, "the first one is not let go for it"
            inside.gateway.scene_store.change(driver="sample")
            assert closure(first) == (NOT_WANTED, "Another driver was chosen.")
    finally:
        inside.gateway.scene_store.change(driver="sample")
    assert not inside.gateway.remote.taken
    assert inside.said()[-2:] == ["A browser's camera is the driver.", "The browser's camera stopped."]


def test_a_driver_that_sends_what_no_page_sends_is_closed(inside: GatewayApp) -> None:
    remote = inside.gateway.remote
    inside.gateway.scene_store.change(driver="browser")
    dropped = remote.drops["remote malformed"]
    try:
        with inside.socket(f"{inside.channel}/driver") as socket:
            socket.send_json({"token": inside.token})
            socket.send_bytes(b"\x01" + jpeg())
            socket.send_bytes(b"\x02" + bytes(960))
            for number in range(MAX_BAD_MESSAGES):
                socket.send_bytes((b"", b"\x00", b"\x02", b"\x02x", b"\x01\xff\xd8\xffno image")[number % 5])
            assert closure(socket)[0] == BAD_MESSAGE
    finally:
        inside.gateway.scene_store.change(driver="sample")
    assert remote.drops["remote malformed"] - dropped == MAX_BAD_MESSAGES and not remote.taken
