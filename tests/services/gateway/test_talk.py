"""Talking with the host over a gateway's sockets, with real speech and servers behind real HTTP; chat lines."""

import json
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from harness.channel import PATIENCE_S
from harness.speech_server import KEY, SpeechServer
from harness.talk_server import QUESTION, REPLY, TalkServer, quiet_pcm, spoken_pcm, talk_server
from services.gateway.api.sockets import MAX_BAD_MESSAGES
from tests.support.running.gateway import GatewayStudio, studio

TALK = "/channels/main/conversation"
BLOCK_BYTES = 3200  # a tenth of a second


@pytest.fixture(scope="module")
def other() -> Iterator[TalkServer]:
    with talk_server() as made:
        yield made


@pytest.fixture(scope="module")
def talking(server: SpeechServer, other: TalkServer) -> Iterator[GatewayStudio]:
    """A gateway that uses these speech, speech-to-text and chat servers."""
    told = {"URL": other.url, "KEY": KEY}
    variables = {
        f"CONVERSATION_{of}_{name}": value for of in ("SPEECH_TO_TEXT", "CHAT") for name, value in told.items()
    }
    variables |= {"VOICE_OPENAI_URL": server.url, "CONVERSATION_VIEWERS_MAY_TALK": "true"}
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(f"STUDIO_{name}", value)
        made = stack.enter_context(studio(Path(stack.enter_context(tempfile.TemporaryDirectory())), voice="openai"))
        patch.undo()  # the other gateways of these tests have no conversation
        yield made


@contextmanager
def socket_of(gateway: GatewayStudio, token: str, path: str = "conversation") -> Iterator[ClientConnection]:
    address = f"ws://{gateway.address}/api/v1/channels/main/{path}"
    with connect(address, compression=None, open_timeout=PATIENCE_S) as connection:
        connection.send(json.dumps({"token": token}))
        yield connection


@contextmanager
def talker_of(gateway: GatewayStudio, token: str, path: str = "conversation") -> Iterator[ClientConnection]:
    """Open a talker's socket; try again while the studio has not noticed that the last talker has left."""

    def joined() -> ExitStack | None:
        with ExitStack() as stack:
            connection = stack.enter_context(socket_of(gateway, token, path))
            try:
                assert json.loads(connection.recv(PATIENCE_S))["type"] == "state"
            except ConnectionClosed as closed:
                assert closed.rcvd and closed.rcvd.code == 4409
                return None
            opened.append(connection)
            return stack.pop_all()

    opened: list[ClientConnection] = []
    with gateway.wait(joined):
        yield opened[0]


def told_until(connection: ClientConnection, **wanted: Any) -> list[dict[str, Any]]:
    """Return the messages to a page, up to the first with these fields."""
    got: list[dict[str, Any]] = []
    while not (got and wanted.items() <= got[-1].items()):
        got.append(json.loads(connection.recv(PATIENCE_S)))
    return got


def end_of(connection: ClientConnection) -> tuple[int, str]:
    """Wait until the socket is closed; return the code and the reason."""
    try:
        while True:
            connection.recv(PATIENCE_S)
    except ConnectionClosed as closed:
        assert closed.rcvd
        return closed.rcvd.code, closed.rcvd.reason


def link(gateway: GatewayStudio, **fields: Any) -> tuple[str, str]:
    """Make a link for the audience; return its (id, token)."""
    made = gateway.http.post("/channels/main/watch-links", json=fields).json()
    return made["id"], made["url"].partition("#link=")[2]


def test_a_spoken_question_is_heard_and_answered(talking: GatewayStudio, other: TalkServer) -> None:
    with talker_of(talking, talking.token) as connection:
        heard = spoken_pcm("What is the weather like?") + quiet_pcm(1.5)
        for at in range(0, len(heard), BLOCK_BYTES):
            connection.send(heard[at : at + BLOCK_BYTES])
            time.sleep(0.1)  # as a microphone does
        told = told_until(connection, role="host", final=True)
        told += told_until(connection, type="state", state="listening")
    states = [each["state"] for each in told if each["type"] == "state"]
    assert states == ["hearing", "thinking", "speaking", "listening"]
    lines = {each["role"]: each["text"] for each in told if each["type"] == "line" and each["final"]}
    assert lines == {"person": QUESTION, "host": REPLY}
    (latency,) = (each for each in told if each["type"] == "latency")
    assert 600 <= latency["vad_ms"] < 640 and latency["total_ms"] > latency["vad_ms"]
    assert 0.5 < other.turns[-1] / 32_000 < 4 and "live programme" in other.asked[-1]["messages"][0]["content"]
    assert talking.state()["scene"]["driver"] == "speech" and KEY not in json.dumps(talking.state())
    assert [each["text"] for each in talking.state()["speech"]["lines"]][-1] == "Shall I tell you more?"


def test_one_person_talks_at_a_time_and_the_second_reads_so(talking: GatewayStudio) -> None:
    with talker_of(talking, talking.token) as first:
        with socket_of(talking, talking.token) as second:
            assert end_of(second) == (
                4409,
                "Another person is talking with the host; try again when they have finished.",
            )
        first.send(json.dumps({"type": "text", "text": "Still there?"}))
        assert told_until(first, role="host", final=True)[0]["text"] == "Still there?"
    with talker_of(talking, talking.token):
        pass  # the next person may talk


def test_who_may_not_talk_reads_why(talking: GatewayStudio, running: GatewayStudio) -> None:
    with socket_of(talking, "guessed") as connection:
        assert end_of(connection)[0] == 4401
    with socket_of(running, running.token) as connection:
        code, why = end_of(connection)
    answer = running.http.get(TALK).json()
    assert (code, answer) == (4412, {"available": False, "why": why, "viewers_may_talk": False})
    assert why == "No chat server is set; set STUDIO_CONVERSATION_CHAT_URL (see docs/conversation.md)."
    assert talking.http.get(TALK).json() == {"available": True, "why": "", "viewers_may_talk": True}
    assert talking.stranger.get(TALK).status_code == 401


def test_viewers_talk_by_a_link_that_allows_it_and_by_no_other(talking: GatewayStudio, running: GatewayStudio) -> None:
    watched = "/channels/main/watch/conversation"
    _, silent = link(talking)
    name, good = link(talking, talk=True)
    _, elsewhere = link(running, talk=True)
    for gateway, token, able in ((talking, silent, False), (talking, good, True), (running, elsewhere, False)):
        answer = gateway.stranger.get(watched, headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["available"] is able
        if not able:
            with socket_of(gateway, token, "watch/conversation") as connection:
                assert end_of(connection) == (4412, "Viewers cannot talk with the host here; watch and listen.")
    assert talking.stranger.get(watched).status_code == 401
    with socket_of(talking, elsewhere, "watch/conversation") as connection:
        assert end_of(connection)[0] == 4401
    with talker_of(talking, good, "watch/conversation") as connection:
        connection.send(json.dumps({"type": "text", "text": "Hello?"}))
        assert told_until(connection, role="host", final=True)[-1]["text"] == REPLY
        talking.http.delete(f"/channels/main/watch-links/{name}")
        assert end_of(connection) == (4403, "This link was withdrawn; ask for a new one.")


def test_what_no_page_sends_ends_the_socket(talking: GatewayStudio) -> None:
    odd: list[str | bytes] = [
        "", "[" * 2000, "null", '{"type": "text"}', '{"type": "text", "text": 5}',
        '{"type": "mute", "muted": 1}', "x" * 20_000,
        json.dumps({"type": "text", "text": "x" * 2001}), b"", b"odd", bytes(32_002),
    ]  # fmt: skip
    with talker_of(talking, talking.token) as connection:
        for number in range(MAX_BAD_MESSAGES):
            connection.send(odd[number % len(odd)])
        assert end_of(connection) == (4400, "The page sent too many invalid messages; reload it.")


@pytest.mark.parametrize("characters", [2001, 20_000])
def test_a_question_that_is_too_long_is_refused_in_a_sentence(talking: GatewayStudio, characters: int) -> None:
    with talker_of(talking, talking.token) as connection:
        connection.send(json.dumps({"type": "text", "text": "x" * characters}))
        refused = told_until(connection, type="error")[-1]
        assert refused["detail"] == "A question has at most 2,000 characters; shorten it."
        connection.send(json.dumps({"type": "text", "text": "Shorter?"}))
        assert told_until(connection, role="host", final=True)[-1]["text"] == REPLY


def test_chat_lines_are_answered_and_limited(talking: GatewayStudio) -> None:
    def send(**line: Any) -> httpx.Response:
        return talking.http.post("/channels/main/chat", json=line)

    with talker_of(talking, talking.token) as connection:
        answer = send(author="Ada\nL.", text="Hi  there!")
        assert answer.status_code == 202 and answer.json() == {"waiting": 0}
        told = told_until(connection, role="host", final=True)
        assert told[-1]["text"] == REPLY and any(each.get("text") == "Ada L.: Hi there!" for each in told)
    for body, status in (
        ({"text": 5}, 422),
        ({"text": "…"}, 422),
        ({"text": "x" * 2001}, 422),
        ({"text": "a", "b": 1}, 422),
    ):
        assert talking.http.post("/channels/main/chat", json=body).status_code == status
    refused = talking.wait(lambda: (last := send(author="Ada", text="Again?")).status_code == 429 and last)
    assert re.search("every two seconds|wait for the host", refused.json()["detail"])
    assert int(refused.headers["retry-after"]) > 0
    assert talking.stranger.post("/channels/main/chat", json={"text": "a"}).status_code == 401
