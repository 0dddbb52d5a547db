"""Watch links over HTTP: only the operator makes and revokes them, and a link opens nothing but the plate on air."""

import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from services.gateway.api.sockets import BAD_MESSAGE, BAD_TOKEN
from services.gateway.audience.links import WatchLinks, WatchRefusal
from services.gateway.audience.viewer import MOST_BAD_MESSAGES, MOST_TEXT_CHARACTERS
from tests.support.running.gateway import image, make_avatar
from tests.support.running.gateway_app import GatewayApp, gateway_app

pytestmark = pytest.mark.unit

BROKEN = ["", "x", "a.b.c", "\u00e9", "null", "x" * 5000]


@pytest.fixture(autouse=True)
def clear(inside: GatewayApp) -> Iterator[None]:
    yield
    for link in inside.gateway.seats.links.links():
        inside.gateway.seats.revoke(link.id)


def made(inside: GatewayApp, **wanted: Any) -> dict[str, Any]:
    answer = inside.client.post(f"{inside.channel}/watch-links", json=wanted, headers=inside.bearer)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def token_of(row: dict[str, Any]) -> str:
    page, _, token = str(row["url"]).partition("#link=")
    assert page == "/watch/main", "what is after the mark goes to no server and into no log"
    return token


def let_in(inside: GatewayApp, token: str) -> int:
    """Return the status for a plate that is not on air: 404 where the token is accepted, else 401."""
    headers = {b"Authorization": f"Bearer {token}".encode()}
    return inside.client.get(f"{inside.channel}/watch/plates/none", headers=headers).status_code


def watched(inside: GatewayApp, token: str) -> int:
    """Return the code with which the watch socket is closed for this token."""
    with inside.socket(f"{inside.channel}/watch") as socket:
        socket.send_json({"token": token})
        message = socket.receive()
        assert message["type"] == "websocket.close"
        return int(message["code"])


def test_a_link_is_shown_as_it_was_made(inside: GatewayApp) -> None:
    before = time.time()
    row = made(inside, label="the press", expires_s=60, viewers=3)
    assert (row["label"], row["viewers"], row["watching"]) == ("the press", 3, 0)
    assert int(before) <= row["expires"] - 60 <= time.time()
    assert inside.get(f"{inside.channel}/watch-links") == [row]
    plain = made(inside)
    assert plain["viewers"] == 20 and plain["id"] != row["id"]


@pytest.mark.parametrize(
    "wanted", [{"viewers": 0}, {"viewers": 1001}, {"expires_s": 59}, {"expires_s": 30 * 86400 + 1}, {"label": "x" * 81},
               {"label": "a\nb"}, {"viewers": "3"}, {"id": "x"}, {"viewers": True}],
)  # fmt: skip
def test_a_link_that_cannot_be_is_not_made(inside: GatewayApp, wanted: dict[str, object]) -> None:
    answer = inside.client.post(f"{inside.channel}/watch-links", json=wanted, headers=inside.bearer)
    assert answer.status_code == 422 and inside.get(f"{inside.channel}/watch-links") == []


def test_a_link_opens_none_of_the_operators_routes(inside: GatewayApp) -> None:
    token = token_of(made(inside))
    assert let_in(inside, token) == 404
    for headers in ({"Authorization": f"Bearer {token}"}, {"X-API-Key": token}):
        for method, path in (
            ("GET", inside.channel), ("PATCH", f"{inside.channel}/scene"), ("GET", f"{inside.channel}/watch-links"),
            ("POST", f"{inside.channel}/watch-links"), ("GET", "/api/v1/recordings"), ("GET", "/api/v1/avatars"),
        ):  # fmt: skip
            assert inside.client.request(method, path, headers=headers).status_code == 401, (method, path)
    for path in ("state", "preview", "driver"):
        with inside.socket(f"{inside.channel}/{path}") as socket:
            socket.send_json({"token": token})
            assert socket.receive()["code"] == BAD_TOKEN


def test_the_operators_token_is_no_link(inside: GatewayApp) -> None:
    assert let_in(inside, inside.token) == 401
    assert watched(inside, inside.token) == WatchRefusal.BAD.code


@pytest.mark.parametrize("token", BROKEN)
def test_what_is_no_link_is_let_in_nowhere(inside: GatewayApp, token: str) -> None:
    assert let_in(inside, token) == 401
    assert watched(inside, token) == WatchRefusal.BAD.code


def test_a_link_that_is_signed_by_another_or_by_none_is_no_link(inside: GatewayApp) -> None:
    links = inside.gateway.seats.links
    row = made(inside)
    claims = jwt.decode(token_of(row), options={"verify_signature": False})
    forged = [jwt.encode(claims, key, algorithm="HS256") for key in ("k" * 32, inside.token)]
    forged.append(jwt.encode(claims, "", algorithm="none"))
    forged.append(jwt.encode(claims | {"aud": "watch other"}, links._key, algorithm="HS256"))
    forged.append(jwt.encode({"sub": row["id"], "aud": claims["aud"]}, links._key, algorithm="HS256"))
    for token in forged:
        assert let_in(inside, token) == 401 and watched(inside, token) == WatchRefusal.BAD.code


def test_an_expired_link_is_closed_by_the_clock(inside: GatewayApp, monkeypatch: pytest.MonkeyPatch) -> None:
    links: WatchLinks = inside.gateway.seats.links
    row = made(inside, expires_s=60)
    monkeypatch.setattr(links, "_clock", lambda: float(row["expires"]) - 1)
    assert let_in(inside, token_of(row)) == 404
    monkeypatch.setattr(links, "_clock", lambda: float(row["expires"]))
    assert let_in(inside, token_of(row)) == 401
    assert watched(inside, token_of(row)) == WatchRefusal.EXPIRED.code
    assert inside.get(f"{inside.channel}/watch-links") == []
    assert inside.client.delete(f"{inside.channel}/watch-links/{row['id']}", headers=inside.bearer).status_code == 404


def test_who_watches_leaves_when_the_link_is_revoked(inside: GatewayApp) -> None:
    row, other = made(inside), made(inside)
    with (
        inside.socket(f"{inside.channel}/watch") as socket,
        inside.socket(f"{inside.channel}/watch") as kept,
    ):
        socket.send_json({"token": token_of(row)})
        kept.send_json({"token": token_of(other)})
        while [each["watching"] for each in inside.get(f"{inside.channel}/watch-links")] != [1, 1]:
            pass
        answer = inside.client.delete(f"{inside.channel}/watch-links/{row['id']}", headers=inside.bearer)
        assert answer.status_code == 204
        seats = inside.gateway.seats
        assert {viewer.ended for viewer in seats._viewers if viewer.link == row["id"]} <= {WatchRefusal.REVOKED}
        while (message := socket.receive())["type"] != "websocket.close":
            pass
        assert message["code"] == WatchRefusal.REVOKED.code
        assert [each["watching"] for each in inside.get(f"{inside.channel}/watch-links")] == [1]
    assert let_in(inside, token_of(row)) == 401 and watched(inside, token_of(row)) == WatchRefusal.REVOKED.code
    assert inside.gateway.seats.watching().total() == 0


def test_a_link_holds_as_many_viewers_as_it_says(inside: GatewayApp) -> None:
    row = made(inside, viewers=1)
    with inside.socket(f"{inside.channel}/watch") as first:
        first.send_json({"token": token_of(row)})
        while inside.gateway.seats.watching().total() != 1:
            inside.get("/api/v1/version")
        assert watched(inside, token_of(row)) == WatchRefusal.LINK_FULL.code
        assert inside.gateway.seats.watching().total() == 1


def test_a_viewer_that_says_what_the_page_does_not_say_is_closed(inside: GatewayApp) -> None:
    row = made(inside)
    for said in (["x" * (MOST_TEXT_CHARACTERS + 1)], [""], ['{"mode": "full"}', "nonsense", "[]"] * MOST_BAD_MESSAGES):
        with inside.socket(f"{inside.channel}/watch") as socket:
            socket.send_json({"token": token_of(row)})
            for each in said:
                socket.send_text(each)
            while (message := socket.receive())["type"] != "websocket.close":
                pass
            assert message["code"] == BAD_MESSAGE, said[0][:40]
    assert inside.gateway.seats.watching().total() == 0


def test_another_channels_link_opens_nothing(inside: GatewayApp) -> None:
    token = token_of(made(inside))
    with inside.socket("/api/v1/channels/other/watch") as socket:
        socket.send_json({"token": token})
        assert socket.receive()["code"] == WatchRefusal.BAD.code


def test_a_plate_is_fetched_by_the_name_that_viewers_were_told_and_no_other() -> None:
    with gateway_app() as inside:
        make_avatar(inside.gateway.settings.home, "mona", image(64, 64), frames=2)
        headers = {"Authorization": f"Bearer {token_of(made(inside))}"}
        base = f"{inside.channel}/watch/plates"
        for name in ("mona", "..", "%2e%2e", "sample"):
            assert inside.client.get(f"{base}/{name}", headers=headers).status_code in (404, 405)
        name = inside.gateway.seats.plate_name("mona")
        answer = inside.client.get(f"{base}/{name}", headers=headers)
        assert answer.content == (inside.gateway.settings.home / "avatars" / "mona" / "plate.mjpg").read_bytes()
        assert "private" in answer.headers["cache-control"]
        index = inside.client.get(f"{base}/{name}/index", headers=headers).json()
        assert (index["width"], index["height"]) == (64, 64) and index["starts"][-1] == len(answer.content)
        for path in (f"{base}/{name}", f"{base}/{name}/index"):
            assert inside.client.get(path).status_code == 401
            assert inside.client.get(path, headers=inside.bearer).status_code == 401, "the operator's is another"
        (inside.gateway.settings.home / "avatars" / "mona" / "plate.mjpg").write_bytes(b"another")
        assert inside.client.get(f"{base}/{name}", headers=headers).status_code == 404, "that one is on air no more"
