"""Sessions over HTTP: who may request them, what other services receive, and what outlives a gateway that dies."""

import http.client
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import zmq

from harness.channel import PATIENCE_S, wait_for
from services.gateway.sessions.portraits import SWEEP_S
from shared.avatar.model import load_avatar, session_avatar_folder
from shared.runtime.clock import now
from shared.session_spec import SessionSpec, unpacked_sessions
from shared.wire.bus import Publisher, Reader, endpoint
from shared.wire.pulse import Meter
from tests.support.running.gateway import GatewayStudio, studio

URL = "ws://livekit.example:7880"
TOKEN = jwt.encode(
    {"sub": "avatar", "attributes": {"lk.publish_on_behalf": "agent"}}, "s" * 32, algorithm="HS256"
)  # fmt: skip


@pytest.fixture(scope="module")
def serving() -> Iterator[GatewayStudio]:
    """A gateway that allows four sessions at a time in the rooms of one server."""
    with tempfile.TemporaryDirectory() as folder:
        allowed = {"allowed_livekit_urls": [URL], "max_sessions": 4}
        with studio(Path(folder), sessions=allowed) as made:
            yield made


@pytest.fixture(autouse=True)
def ended(serving: GatewayStudio) -> Iterator[None]:
    yield
    for row in rows(serving):
        if row["state"] != "ended":
            serving.http.delete(f"/sessions/{row['session_id']}").raise_for_status()


def ask(running: GatewayStudio, key: str = "", **changes: Any) -> httpx.Response:
    body = {"livekit_url": URL, "livekit_token": TOKEN} | changes
    return running.http.post("/sessions", json=body, headers={"Idempotency-Key": key} if key else {})


def rows(running: GatewayStudio) -> list[dict[str, Any]]:
    answer = running.http.get("/sessions")
    answer.raise_for_status()
    return list(answer.json()["sessions"])


def wanted(running: GatewayStudio, name: str) -> list[SessionSpec]:
    """Return the sessions in the next message of the stream `name`."""
    context: zmq.Context[Any] = zmq.Context()
    reader = Reader(context, endpoint(running.settings.run_dir, name), "sessions", "")
    try:
        return unpacked_sessions(wait_for(reader.read, PATIENCE_S)[0].array)
    finally:
        reader.close()
        context.term()


def test_its_room_learns_of_a_session_with_the_token_and_its_faces_without(serving: GatewayStudio) -> None:
    made = ask(serving, width=256, height=448)
    assert made.status_code == 201, made.text
    assert made.json()["sample_rate"] == 24_000
    (spec,) = wanted(serving, "rooms")
    assert (spec.id, spec.token, spec.identity, spec.agent) == (made.json()["session_id"], TOKEN, "avatar", "agent")
    assert (spec.avatar, spec.engine, spec.width, spec.height, spec.label) == ("sample", "mesh", 256, 448, True)
    assert wanted(serving, "casts") == [spec.without_room()]
    assert TOKEN not in serving.http.get("/sessions").text
    serving.http.delete(f"/sessions/{spec.id}").raise_for_status()
    assert wanted(serving, "rooms") == []
    assert serving.http.get(f"/sessions/{spec.id}").json()["state"] == "ended"


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/session", "/api/v1/sessions"])
def test_the_forms_and_the_key_of_existing_plugins_are_taken(serving: GatewayStudio, path: str) -> None:
    forms = [
        {"transport": "livekit", "avatar_id": "mona", "url": URL, "token": TOKEN},
        {"avatar_id": "mona", "livekit_url": URL, "livekit_token": TOKEN},
    ]
    for form in forms:
        address = f"http://{serving.address}{path}"
        assert serving.stranger.post(address, json=form, headers={"x-api-key": "wrong"}).status_code == 401
        assert serving.stranger.post(address, json=form).status_code == 401
        made = serving.stranger.post(address, json=form, headers={"x-api-key": serving.token})
        assert made.status_code == 201, made.text
        assert rows(serving)[0]["avatar"] == "mona"


def test_no_request_sends_the_studio_anywhere_else(serving: GatewayStudio) -> None:
    for url in (
        "ws://livekit.example:7881", "wss://livekit.example:7880", "ws://evil.example:7880",
        "ws://livekit.example:7880@evil.example", "http://127.0.0.1:6379", "file:///etc/passwd", "",
    ):  # fmt: skip
        assert ask(serving, livekit_url=url).status_code in (403, 422), url
    assert rows(serving) == [row for row in rows(serving) if row["state"] == "ended"]
    assert ask(serving, livekit_url="http://LIVEKIT.example:7880/").status_code == 201  # the same server


def test_without_an_allowed_server_sessions_are_off(running: GatewayStudio) -> None:
    refused = ask(running)
    assert refused.status_code == 403 and "sessions.allowed_livekit_urls" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"livekit_token": "no"}, 422, "not a LiveKit access token"),
        ({"livekit_token": jwt.encode({"sub": "a"}, "s" * 32)}, 422, "lk.publish_on_behalf"),
        ({"livekit_token": jwt.encode({"attributes": {}}, "s" * 32), "agent_identity": "x"}, 422, "no identity"),
        ({"avatar": "none"}, 404, "no such avatar"),
        ({"avatar": "../sample"}, 404, "no such avatar"),
        ({"engine": "none"}, 422, "none"),
        ({"engine": "liveportrait"}, 422, "LivePortrait cannot be driven live by a voice"),
        ({"engine": "stableavatar"}, 422, "whole clips"),
        ({"options": {"none": 1}}, 422, "none"),
        ({"width": 511}, 422, "even"),
        ({"height": 4000}, 422, "1920"),
        ({"label": False}, 403, "clean_feed_right"),
        ({"more": 1}, 422, "not a field"),
    ],
)
def test_what_cannot_be_had_is_refused_in_a_sentence(
    serving: GatewayStudio, changes: dict[str, Any], status: int, words: str
) -> None:
    refused = ask(serving, **changes)
    assert refused.status_code == status and words in refused.json()["detail"], refused.text
    assert "s" * 32 not in refused.text


def test_the_same_key_is_the_same_session(serving: GatewayStudio) -> None:
    first = ask(serving, "one").json()["session_id"]
    assert ask(serving, "one").json()["session_id"] == first
    assert ask(serving, "one", avatar="mona").status_code == 409
    assert ask(serving, "two").json()["session_id"] != first
    serving.http.delete(f"/sessions/{first}").raise_for_status()
    assert ask(serving, "one").json()["session_id"] != first  # the first session has ended


def test_more_than_can_be_had_is_asked_to_come_back(serving: GatewayStudio) -> None:
    assert [ask(serving).status_code for _ in range(5)] == [201, 201, 201, 201, 503]
    full = ask(serving)
    assert int(full.headers["retry-after"]) > 0 and "All 4 sessions" in full.json()["detail"]


def test_a_load_balancer_and_prometheus_are_told_what_room_there_is(
    serving: GatewayStudio, running: GatewayStudio
) -> None:
    made = [ask(serving).json()["session_id"] for _ in range(3)]
    room = serving.http.get("/capacity").json()
    assert (room["sessions"], room["free"], room["reason"]) == (3, 1, "")
    told = serving.stranger.get(f"http://{serving.address}/metrics").text
    assert 'studio_sessions{state="opening"} 3.0' in told and "studio_sessions_free 1.0" in told
    assert all(f'studio_session_fps{{session="{name}"}}' in told for name in made)
    off = running.http.get("/capacity").json()
    assert off["free"] == 0 and "allowed_livekit_urls" in off["reason"]


def test_a_session_is_as_its_services_say_and_a_gateway_that_dies_forgets_none(serving: GatewayStudio) -> None:
    name, other = (ask(serving).json()["session_id"] for _ in range(2))
    context: zmq.Context[Any] = zmq.Context()
    meter, faces = Meter("sessions"), Meter("faces")
    pulses = Publisher(context, endpoint(serving.settings.run_dir, "pulse"), "pulse", "main", bind=False)

    def told(state: str, note: str) -> None:
        meter.facts = {"sessions": {name: {"state": state, "note": note, "figures": {"fps": 25}}}}
        faces.facts = {"sessions": {name: {"state": "open", "note": "No teeth."}}}
        for each in (meter, faces):
            pulses.send(now(), facts=each.pulse(now()).as_dict())

    def becomes(state: str, note: str) -> dict[str, Any]:
        def shown() -> dict[str, Any] | None:
            told(state, note)
            row = dict(serving.http.get(f"/sessions/{name}").json())
            return row if (row["state"], row["note"]) == (state, note or "No teeth.") else None

        return dict(serving.wait(shown))

    try:
        assert becomes("live", "")["figures"] == {"fps": 25.0}
        serving.kill()
        serving.start()
        assert {row["session_id"] for row in rows(serving)} == {name, other}
        assert {spec.token for spec in wanted(serving, "rooms")} == {TOKEN}
        assert becomes("ended", "The agent left.")["ended"]
        assert [spec.id for spec in wanted(serving, "rooms")] == [other]
        kept = serving.settings.run_dir / "sessions.json"
        assert kept.stat().st_mode & 0o077 == 0
    finally:
        pulses.close()
        context.term()


def ask_with_portrait(running: GatewayStudio, portrait: bytes, key: str = "", **changes: str) -> httpx.Response:
    """Request a session with a form; field names that begin with "avatar_" are those of bitHuman's plugin."""
    field = changes.pop("field", "portrait")
    form = {"livekit_url": URL, "livekit_token": TOKEN, "rights": "It is mine."} | changes
    files = {field: ("me.png", portrait)}
    headers = {"Idempotency-Key": key} if key else {}
    return running.http.post(
        "/sessions", data={name: text for name, text in form.items() if text}, files=files, headers=headers
    )


def test_a_portrait_is_an_avatar_for_as_long_as_a_session_shows_it(serving: GatewayStudio, small_home: Path) -> None:
    portrait = (small_home / "portrait.png").read_bytes()
    made = ask_with_portrait(serving, portrait, "key", options="{}", width="256", height="448", label="true")
    assert made.status_code == 201, made.text
    assert ask_with_portrait(serving, portrait, "key", width="256", height="448").json() == made.json()
    (spec,) = wanted(serving, "rooms")
    folder = session_avatar_folder(serving.settings.home, serving.settings.run_dir, spec.avatar)
    assert load_avatar(folder).rights == "It is mine." and (spec.width, spec.height) == (256, 448)
    assert spec.avatar not in {row["name"] for row in serving.http.get("/avatars").json()}
    assert not folder.is_relative_to(serving.settings.home)
    # As bitHuman's plugin sends it: its form has no field for the rights, so the URL states them.
    address = f"http://{serving.address}/api/v1/sessions?rights=It+is+mine."
    form = {"livekit_url": URL, "livekit_token": TOKEN, "room_name": "one", "async_mode": "true"}
    files = {"avatar_image": ("avatar.jpg", portrait)}
    other = serving.stranger.post(address, data=form, files=files, headers=serving.headers)
    assert other.status_code == 201, other.text
    assert {spec.avatar for spec in wanted(serving, "rooms")} == {spec.avatar}
    serving.http.delete(f"/sessions/{spec.id}").raise_for_status()
    time.sleep(SWEEP_S + 0.5)
    assert folder.is_dir()  # the other session still shows it
    serving.http.delete(f"/sessions/{other.json()['session_id']}").raise_for_status()
    serving.wait(lambda: not folder.exists())


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"rights": ""}, 422, "A portrait needs a statement"),
        ({"rights": "mine\x07"}, 422, "control characters"),
        ({"avatar": "sample"}, 422, "not both"),
        ({"avatar_image_url": "http://127.0.0.1/me.png"}, 422, "does not download images"),
        ({"options": "{"}, 422, "JSON object"),
        ({"width": "wide"}, 422, "width"),
        ({"more": "1"}, 422, "unexpected field 'more'"),
        ({"livekit_url": "ws://evil.example:7880"}, 403, "may not join"),
        ({"field": "face"}, 422, "unexpected field 'face'"),
        ({}, 422, "not an image"),
    ],
)
def test_a_portrait_of_no_use_is_refused_in_a_sentence(
    serving: GatewayStudio, changes: dict[str, str], status: int, words: str
) -> None:
    refused = ask_with_portrait(serving, b"no image", **changes)
    assert refused.status_code == status and words in refused.json()["detail"], refused.text
    assert not list((serving.settings.run_dir / "avatars").glob("*"))


def test_a_portrait_is_not_taken_in_beyond_its_limit(serving: GatewayStudio) -> None:
    connection = http.client.HTTPConnection(serving.address, timeout=PATIENCE_S)
    declared = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(1 << 30)}
    connection.putrequest("POST", "/api/v1/sessions")
    for name, value in (declared | serving.headers).items():
        connection.putheader(name, value)
    connection.endheaders(b"--x\r\n")  # no more is sent: the answer does not wait for the body
    refused = connection.getresponse()
    assert refused.status == 413 and "larger than" in json.loads(refused.read())["detail"]
    connection.close()


def test_no_portrait_is_prepared_where_there_is_no_room(serving: GatewayStudio, small_home: Path) -> None:
    for _ in range(4):
        assert ask(serving).status_code == 201
    full = ask_with_portrait(serving, (small_home / "portrait.png").read_bytes(), rights="Another one's.")
    assert full.status_code == 503 and int(full.headers["retry-after"]) > 0
    assert not list((serving.settings.run_dir / "avatars").glob("*"))
