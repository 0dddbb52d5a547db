"""Downloads without the token: a ticket fetches one recording once, expires soon and cannot be guessed."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.gateway.api.routes import recordings
from services.gateway.api.routes.recordings import TICKET_LIFE_S, TICKETS, Tickets
from tests.support.running.gateway_app import GatewayApp

pytestmark = pytest.mark.unit

FIRST, SECOND = "main-20260101-120000", "main-20260101-120000-2"
BASE = "/api/v1/recordings"


@pytest.fixture(autouse=True)
def kept(inside: GatewayApp) -> Iterator[Path]:
    """The folder of recordings, with two in it, of which the first has captions."""
    folder = inside.gateway.settings.home / "recordings"
    folder.mkdir(exist_ok=True)
    (folder / f"{FIRST}.mp4").write_bytes(b"first")
    (folder / f"{FIRST}.vtt").write_bytes(b"WEBVTT")
    (folder / f"{SECOND}.mp4").write_bytes(b"second")
    yield folder


def ticket_of(inside: GatewayApp, recording: str) -> str:
    answer = inside.client.post(f"{BASE}/{recording}/ticket", headers=inside.bearer)
    assert answer.status_code == 201
    return str(answer.json()["ticket"])


def fetched(inside: GatewayApp, recording: str, ticket: str) -> int:
    return inside.client.get(f"{BASE}/{recording}/download", params={"ticket": ticket}).status_code


@pytest.mark.parametrize(("recording", "content"), [(FIRST, b"first"), (f"{FIRST}/captions", b"WEBVTT")])
def test_a_ticket_fetches_once(inside: GatewayApp, recording: str, content: bytes) -> None:
    ticket = ticket_of(inside, recording)
    answer = inside.client.get(f"{BASE}/{recording}/download", params={"ticket": ticket})
    assert answer.content == content and "attachment" in answer.headers["content-disposition"]
    assert fetched(inside, recording, ticket) == 401


def test_a_ticket_is_of_one_recording_and_void_once_it_was_tried_elsewhere(inside: GatewayApp) -> None:
    for other in (SECOND, f"{FIRST}/captions"):
        ticket = ticket_of(inside, FIRST)
        assert fetched(inside, other, ticket) == 401
        assert fetched(inside, FIRST, ticket) == 401


def test_what_is_no_ticket_fetches_nothing(inside: GatewayApp) -> None:
    given = ticket_of(inside, FIRST)
    for ticket in ("", given[:-1], given.swapcase(), inside.token):
        assert fetched(inside, FIRST, ticket) == 401
    assert inside.client.get(f"{BASE}/{FIRST}/download", headers=inside.bearer).status_code == 401
    assert len(given) >= 32 and ticket_of(inside, FIRST) != given


def test_the_token_is_needed_for_all_else(inside: GatewayApp) -> None:
    for path in ("", f"/{FIRST}", f"/{FIRST}/captions"):
        assert inside.client.get(BASE + path).status_code == 401
        assert inside.client.get(BASE + path, headers=inside.bearer).status_code == 200
    for path in (f"/{FIRST}/ticket", f"/{FIRST}/captions/ticket"):
        assert inside.client.post(BASE + path).status_code == 401


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e%2ftoken", "main-20200101-000000", "MAIN-20260101-120000", "token", f"{FIRST}.mp4"]
)
def test_only_the_name_of_a_recording_is_one(inside: GatewayApp, kept: Path, name: str) -> None:
    (kept / "token.mp4").write_bytes(b"not made by the console")
    for path in (f"/{name}", f"/{name}/captions"):
        assert inside.client.get(BASE + path, headers=inside.bearer).status_code == 404
    assert inside.client.post(f"{BASE}/{name}/ticket", headers=inside.bearer).status_code in (404, 405)
    assert {row["id"]: row["captions"] for row in inside.get(BASE)} == {FIRST: True, SECOND: False}


def test_a_ticket_is_good_for_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    at = 100.0
    monkeypatch.setattr(recordings, "time", SimpleNamespace(monotonic=lambda: at))
    tickets = Tickets()
    early, late = tickets.issue(FIRST), tickets.issue(FIRST)
    at += TICKET_LIFE_S - 0.1
    assert tickets.redeem(early, FIRST)
    at += 0.1
    assert not tickets.redeem(late, FIRST)


def test_of_too_many_tickets_the_oldest_is_void() -> None:
    tickets = Tickets()
    given = [tickets.issue(FIRST) for _ in range(TICKETS + 1)]
    assert not tickets.redeem(given[0], FIRST) and all(tickets.redeem(each, FIRST) for each in given[1:])
