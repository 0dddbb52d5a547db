"""Watching with a link, without a streaming server.

The page in a real browser, the socket on its own, and the console's panel.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from harness.channel import PATIENCE_S
from services.gateway.audience.links import WatchRefusal
from services.gateway.audience.viewer import MOST_BAD_MESSAGES
from tests.support.browser.chromium import needs_chromium, until
from tests.support.browser.contrast import MEASURE, poor
from tests.support.browser.viewer import Viewer
from tests.support.running.gateway import GatewayStudio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LINKS = "/channels/main/watch-links"


@contextmanager
def made_link(running: GatewayStudio, **wanted: Any) -> Iterator[dict[str, Any]]:
    """Make a link and revoke it afterwards."""
    answer = running.http.post(LINKS, json=wanted)
    assert answer.status_code == 201, answer.text
    row = dict(answer.json())
    try:
        yield row | {"token": row["url"].partition("#link=")[2]}
    finally:
        running.http.delete(f"{LINKS}/{row['id']}")


@contextmanager
def watching_by(running: GatewayStudio, token: str, **more: Any) -> Iterator[ClientConnection]:
    with connect(
        f"ws://{running.address}/api/v1/channels/main/watch",
        max_size=None,
        compression=None,
        open_timeout=PATIENCE_S,
        **more,
    ) as socket:
        socket.send(json.dumps({"token": token}))
        yield socket


def watchers(running: GatewayStudio) -> int:
    return int(running.state()["audience"]["viewers"])


def ended(socket: ClientConnection) -> tuple[int, str]:
    """Wait until the studio closes the socket; return the code and the reason."""
    try:
        while True:
            socket.recv(PATIENCE_S)
    except ConnectionClosed as closed:
        assert closed.rcvd
        return closed.rcvd.code, closed.rcvd.reason


@contextmanager
def page_on(browser: "Browser", address: str, width: int = 1280, height: int = 720) -> Iterator["Page"]:
    """A page at this address; a script error or a violation of its security policy fails the test."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    page.goto(address)
    try:
        yield page
    finally:
        context.close()
    assert complaints == []


@needs_chromium
def test_a_browser_watches_hears_and_has_to_go_when_the_link_is_revoked(
    browser: "Browser", running: GatewayStudio
) -> None:
    with (
        made_link(running, viewers=1) as link,
        page_on(browser, f"http://{running.address}{link['url']}", 360, 640) as page,
    ):
        page.get_by_role("status").get_by_text("Live").wait_for()
        until(page, "watched.shown() === 'roi'")
        until(
            page,
            "(() => { const c = document.querySelector('canvas'); return c.width === 480 && c.height === 640; })()",
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.keyboard.press("m")
        page.get_by_role("button", name="Turn sound off").wait_for()
        until(page, "watched.sound.anchor !== null")
        page.get_by_label("Volume").fill("30")
        assert page.evaluate("watched.sound.gain.gain.value") == pytest.approx(0.3)
        assert [each for each in page.evaluate(MEASURE) if each["ratio"] < each["least"]] == []
        row = running.http.get(LINKS).json()[-1]
        assert row["watching"] == 1 and row["url"] == link["url"]
        before = page.evaluate("watched.frames()")
        running.kill()
        page.get_by_role("status").get_by_text("reconnecting").wait_for()
        running.start()
        page.get_by_role("status").get_by_text("Live").wait_for()
        until(page, f"watched.frames() > {before + 10}")
        assert running.http.delete(f"{LINKS}/{link['id']}").status_code == 204
        page.get_by_role("status").get_by_text(WatchRefusal.REVOKED.sentence).wait_for()
        running.wait(lambda: watchers(running) == 0)


@needs_chromium
def test_the_console_makes_lists_and_revokes_links(browser: "Browser", running: GatewayStudio) -> None:
    with page_on(browser, f"http://{running.address}/#token={running.token}") as page:
        page.get_by_role("button", name="+ New watch link").click()
        page.get_by_label("Name (only you see it)").fill("The press")
        page.get_by_label("Maximum viewers").fill("3")
        page.get_by_role("button", name="Create link").click()
        entry = page.get_by_role("list", name="Watch links").get_by_role("listitem").filter(has_text="The press")
        entry.get_by_text("0 of 3 watching").wait_for()
        address = page.get_by_label("Link to share").input_value()
        assert address.startswith(f"http://{running.address}/watch/main#link=")
        with watching_by(running, address.partition("#link=")[2]):
            entry.get_by_text("1 of 3 watching").wait_for()
            assert poor(page) == []
            page.get_by_role("button", name="Revoke The press").click()
            page.get_by_role("button", name="Revoke The press").click()
            entry.wait_for(state="detached")
        assert "The press" not in [each["label"] for each in running.http.get(LINKS).json()]


def test_a_link_shows_the_program_and_nothing_of_the_operator(running: GatewayStudio) -> None:
    with made_link(running, label="a secret name") as link, watching_by(running, link["token"]) as socket:
        viewer, hello = Viewer(socket), json.loads(socket.recv(PATIENCE_S))["hello"]
        assert set(hello) == {"number", "plate", "width", "height"} and "sample" not in json.dumps(hello)
        address = f"http://{running.address}/api/v1/channels/main/watch/plates/{hello['plate']}"
        given = {"Authorization": f"Bearer {link['token']}"}
        plate = running.stranger.get(address, headers=given)
        assert plate.content == (running.settings.home / "avatars/sample/plate.mjpg").read_bytes()
        assert "immutable" in plate.headers["cache-control"] and "sample" not in str(plate.headers)
        index = running.stranger.get(f"{address}/index", headers=given).json()
        assert set(index) == {"width", "height", "fps", "starts"}
        for other in ({}, {"Authorization": "Bearer x"}, running.headers):
            assert running.stranger.get(address, headers=other).status_code == 401
        assert running.stranger.get(f"{address[:-32]}sample", headers=given).status_code == 404
        for method, path in (("GET", ""), ("PATCH", "/scene"), ("GET", "/watch-links"), ("POST", "/watch-links")):
            answer = running.stranger.request(
                method, f"http://{running.address}/api/v1/channels/main{path}", headers=given
            )
            assert answer.status_code == 401, path
        before = running.state()["scene"]
        viewer.say(mode="full", label=False, driver="speech", listen=True)
        while len(viewer.sounds) < 10:
            viewer.frame()
        assert set(viewer.received) == {1, 4}, "whole frames and sound, never the driver's"
        assert running.state()["scene"] == before


def test_the_label_is_there_for_viewers_too(running: GatewayStudio) -> None:
    with made_link(running) as link, watching_by(running, link["token"]) as socket:
        viewer = Viewer(socket)
        viewer.plates = [viewer.frame()[1]]  # stands for any plate: only the label is checked
        viewer.plates *= 4
        viewer.say(plate=viewer.number)
        while not viewer.label:
            viewer.frame()
        x, y, w, h = running.channel.label
        assert viewer.label[:2] == (x, y) and viewer.label[2].shape == (h, w, 3)


def test_one_who_may_not_watch_reads_why(running: GatewayStudio) -> None:
    with made_link(running, viewers=1) as link:
        with watching_by(running, link["token"]) as first:
            first.recv(PATIENCE_S)
            with watching_by(running, link["token"]) as second:
                assert ended(second) == WatchRefusal.LINK_FULL.value
            for token in ("", "nonsense", running.token, link["token"][:-3]):
                with watching_by(running, token) as forged:
                    assert ended(forged) == WatchRefusal.BAD.value
            running.http.delete(f"{LINKS}/{link['id']}")
            assert ended(first) == WatchRefusal.REVOKED.value
        with watching_by(running, link["token"]) as late:
            assert ended(late) == WatchRefusal.REVOKED.value
    metrics = f"http://{running.address}/metrics"
    text = running.wait(lambda: "studio_watch_viewers 0.0" in (said := running.stranger.get(metrics).text) and said)
    assert 'studio_watch_turned_away_total{reason="link_full"} 1.0' in text and "studio_watch_bytes_total" in text


def test_what_no_page_says_ends_the_socket(running: GatewayStudio) -> None:
    with made_link(running) as link:
        for garbage in (
            b"\0" * 100,
            "x" * 100_000,
            "",
            ["[" * 300] * MOST_BAD_MESSAGES,
            ['{"mode": "full"}'] * MOST_BAD_MESSAGES,
        ):
            with watching_by(running, link["token"]) as socket:
                for each in garbage if isinstance(garbage, list) else [garbage]:
                    socket.send(each)
                assert ended(socket)[0] == 4400
    running.wait(lambda: watchers(running) == 0)


def test_another_sites_page_opens_no_socket(running: GatewayStudio) -> None:
    with pytest.raises(InvalidStatus), watching_by(running, "x", origin="https://evil.example"):
        pass


@pytest.mark.parametrize(
    "wanted",
    [
        {"viewers": 0}, {"viewers": 5000}, {"expires_s": 1}, {"expires_s": 1 << 40}, {"label": "x" * 100},
        {"label": "a\nb"},
        {"viewers": "3"}, {"channel": "main"}, {"talk": 1},
    ],
)  # fmt: skip
def test_a_link_that_cannot_be_is_refused(running: GatewayStudio, wanted: dict[str, Any]) -> None:
    answer = running.http.post(LINKS, json=wanted)
    assert answer.status_code == 422 and list(answer.json()) == ["detail"]
    assert running.http.delete(f"{LINKS}/unknown").status_code == 404
