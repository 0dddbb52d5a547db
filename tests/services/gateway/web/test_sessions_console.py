"""Sessions in the console: shown where they are allowed, each with its state, and stopped there; by role and label."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jwt
import pytest

from tests.support.browser.chromium import needs_chromium
from tests.support.running.gateway import GatewayStudio, studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
URL = "ws://livekit.example:7880"
CLAIMS = {"sub": "avatar-of-ann", "attributes": {"lk.publish_on_behalf": "agent"}}


@pytest.fixture(scope="module")
def serving() -> Iterator[GatewayStudio]:
    """A gateway that allows two sessions in the rooms of one server."""
    allowed = {"allowed_livekit_urls": [URL], "max_sessions": 2}
    with tempfile.TemporaryDirectory() as folder, studio(Path(folder), sessions=allowed) as made:
        yield made


@pytest.fixture
def page(browser: "Browser", serving: GatewayStudio) -> Iterator["Page"]:
    """The console of `serving`; a page error fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"http://{serving.address}/#token={serving.token}")
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    yield page
    context.close()
    assert complaints == []


def test_sessions_are_listed_with_what_room_there_is_and_ended_when_it_is_asked_twice(
    page: "Page", serving: GatewayStudio
) -> None:
    line = page.get_by_role("status", name="Sessions")
    expect(line).to_have_text("No sessions · room for 2 more")
    token = jwt.encode(CLAIMS, "s" * 32, algorithm="HS256")
    answers = [serving.http.post("/sessions", json={"livekit_url": URL, "livekit_token": token}) for _ in range(2)]
    names = [answer.json()["session_id"] for answer in answers]
    expect(line).to_contain_text("2 sessions · All 2 sessions are taken")
    rows = page.get_by_role("list", name="Running sessions").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.first).to_have_text(f"◌ opening · sample, mesh · avatar-of-ann · {names[1]}Stop")
    stop = page.get_by_role("button", name=f"Stop session {names[0]}")
    text, press = rows.first.locator("span").bounding_box(), rows.first.get_by_role("button").bounding_box()
    assert text and press and text["x"] + text["width"] <= press["x"]  # side by side: a button belongs to its row
    stop.click()
    expect(stop).to_have_text("Stop?")
    stop.click()
    expect(line).to_have_text("1 session · room for 1 more")
    assert serving.http.get(f"/sessions/{names[0]}").json()["state"] == "ended"


def test_without_an_allowed_server_there_is_nothing_of_sessions(browser: "Browser", running: GatewayStudio) -> None:
    page = browser.new_page()
    page.goto(f"http://{running.address}/#token={running.token}")
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    expect(page.get_by_role("heading", name="Outputs")).to_be_visible()
    expect(page.get_by_role("heading", name="Sessions")).to_be_hidden()
    page.close()
