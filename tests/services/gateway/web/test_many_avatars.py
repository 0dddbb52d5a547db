"""The console with forty avatars: engine and driver stay in view, and an avatar is found by its name.

Elements are found by role and label.
"""

import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.browser.chromium import needs_chromium
from tests.support.browser.contrast import poor
from tests.support.running.gateway import GatewayStudio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = needs_chromium
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
SEEN = """element => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return element.contains(document.elementFromPoint(left + width / 2, top + height / 2));
}"""


@pytest.fixture
def page(browser: "Browser", own: GatewayStudio) -> Iterator["Page"]:
    """The console of a studio with forty avatars; a page error fails the test."""
    avatars = own.settings.home / "avatars"
    for number in range(1, 39):
        shutil.copytree(avatars / "mona", avatars / f"host-{number:02}")
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"http://{own.address}/#token={own.token}")
    page.get_by_role("button", name="host-38", exact=True).wait_for()
    yield page
    context.close()
    assert complaints == []


def is_seen(shown: "Locator") -> bool:
    """Return whether the middle of an element is on the screen, neither covered nor cut off by a list."""
    return bool(shown.evaluate(SEEN))


def test_engine_and_driver_stay_in_view_and_an_avatar_is_found_by_name(page: "Page", own: GatewayStudio) -> None:
    everything = page.get_by_role("list", name="Avatars")
    rows, search = everything.get_by_role("listitem"), page.get_by_label("Search avatars")
    sources = page.get_by_role("complementary", name="Sources")
    for name in ("Engine", "Driver"):
        assert is_seen(sources.get_by_role("heading", name=name)), name
    for name in ("sample ●", "Mesh warp", "Sample clip"):
        assert is_seen(sources.get_by_role("button", name=re.compile(name), pressed=True)), name
    assert everything.locator("button[tabindex='0']:not([hidden])").count() == 1, "one tab stop for forty rows"

    page.keyboard.press("/")
    page.keyboard.type("HOST 1")
    expect(page.get_by_role("status", name="Avatars found")).to_have_text("13 of 40")
    expect(rows).to_have_count(14)  # the avatars found and the chosen one
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="host-01", exact=True)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    own.wait(lambda: own.state()["scene"]["avatar"] == "host-10")
    page.keyboard.press("Escape")
    expect(rows).to_have_count(40)
    assert search.input_value() == ""

    everything.evaluate("list => { list.scrollTop = list.scrollHeight; }")
    assert is_seen(page.get_by_role("button", name="host-10", pressed=True)), "the chosen one does not scroll away"
    page.keyboard.press("/")
    page.keyboard.type("mona")
    page.keyboard.press("Enter")
    own.wait(lambda: own.state()["scene"]["avatar"] == "mona")
    assert search.input_value() == "" and poor(page) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
