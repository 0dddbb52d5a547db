"""Contrast of the console, computed in a real browser from what is drawn: WCAG AA in both schemes and every state."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser.chromium import needs_chromium, until
from tests.support.browser.contrast import MEASURE, poor
from tests.support.running.gateway import GatewayStudio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium

# MEASURE returns, for every visible text and every control's edge, the colours that meet there and their ratio (WCAG
# 2.2, 1.4.3, 1.4.11). A translucent background is laid over what is below it; over the program video, over both black
# and white.


def open_everything(page: "Page") -> None:
    """Open all forms and lists that are folded, and put controls into their other state."""
    page.get_by_role("button", name="+ Add avatar").click()
    page.get_by_text("Unavailable engines (1)").click()
    page.get_by_role("button", name="Script", exact=True).click()
    page.get_by_role("button", name="+ New watch link").click()
    page.get_by_role("button", name="All recordings").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keyboard shortcuts").click()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_and_controls_stand_out(browser: "Browser", running: GatewayStudio, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"http://{running.address}/")
    page.get_by_role("button", name="Open the console").wait_for()
    page.get_by_label("Operator token").fill("wrong")
    page.get_by_role("button", name="Open the console").click()
    page.get_by_role("alert").get_by_text("token is missing").wait_for()
    short = [row for row in page.evaluate(MEASURE) if row["ratio"] < row["least"]]
    assert short == []
    page.get_by_label("Operator token").fill(running.token)
    page.get_by_role("button", name="Open the console").click()
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    open_everything(page)
    until(page, "studio.frames() > 5")
    assert poor(page) == [], "on air"
    page.get_by_role("button", name="● Record").click()
    page.get_by_role("button", name="Mute program").click()
    page.get_by_role("button", name="Stop recording").wait_for()
    page.get_by_role("button", name="Go off air").click()
    assert poor(page) == [], "recording, muted, asking"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Stop recording").click()
    page.get_by_role("button", name="Muted").click()
    running.channel.state = "plate"
    page.get_by_label("State", exact=True).get_by_text("IDLE").wait_for()
    page.get_by_label("Driver address").fill("file:/etc/passwd")
    page.get_by_role("button", name="Use", exact=True).click()
    page.get_by_role("alert").get_by_text("A driver is sample").wait_for()
    assert poor(page) == [], "idle, with an error"
    running.channel.state = "live"
    running.channel.stop()
    page.get_by_label("State", exact=True).get_by_text("RECOVERING").wait_for()
    page.get_by_role("group", name="compositor").get_by_text("being restarted").wait_for()
    assert poor(page) == [], "recovering"
    running.channel.start()
    running.patch(on_air=False)
    page.get_by_label("State", exact=True).get_by_text("OFF").wait_for()
    assert poor(page) == [], "off"
    running.patch(on_air=True)
    context.close()
