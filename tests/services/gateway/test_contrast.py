"""Contrast of the console, computed in a real browser from what is drawn: WCAG AA in both schemes and every state."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.chromium import needs_chromium, until
from tests.support.gateway import Studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium

# For every visible text and every control's edge: the colours that meet there and their ratio (WCAG 2.2, 1.4.3, 1.4.11).
# Translucent grounds are laid over what is below; over the program picture over both black and white.
MEASURE = """() => {
  const paint = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = (top, below) => below.map((c, i) => top[i] * top[3] + c * (1 - top[3]));
  const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const grounds = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      layers.push(rgba(getComputedStyle(at).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
      if (at.matches(".stage-note")) return [[0, 0, 0], [255, 255, 255]].map((base) => layers.reduceRight((below, top) => over(top, below), base));
    }
    return [layers.reduceRight((below, top) => over(top, below), [255, 255, 255])];
  };
  const seen = (element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })
    && element.getBoundingClientRect().width > 1 && !element.closest(":disabled");
  const found = [];
  const note = (what, element, front, back, least) => found.push({ what: `${what} ${element.tagName}#${element.id}.${element.className} "${element.textContent.trim().slice(0, 30)}"`, ratio: ratio(over(rgba(front), back), back), least });
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !seen(element)) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    for (const back of grounds(element)) note("text", element, style.color, back, large ? 3 : 4.5);
  }
  for (const element of document.querySelectorAll("input, textarea, select")) {
    if (!seen(element)) continue;
    note("value", element, getComputedStyle(element).color, grounds(element)[0], 4.5);
    if (element.placeholder) note("placeholder", element, getComputedStyle(element, "::placeholder").color, grounds(element)[0], 4.5);
  }
  for (const element of document.querySelectorAll("button:not(.remove), input:not([type=file]), select, textarea, .bar")) {
    if (!seen(element)) continue;
    const style = getComputedStyle(element), around = grounds(element.parentElement)[0], inside = grounds(element)[0];
    // A control is told from its surroundings by its edge or by its ground.
    const edge = ratio(over(rgba(style.borderTopColor), around), around);
    found.push({ what: `edge ${element.tagName}#${element.id}.${element.className} "${element.textContent.trim().slice(0, 30)}"`, ratio: Math.max(edge, ratio(inside, around)), least: 3 });
  }
  for (const element of document.querySelectorAll(".spark .line")) {
    if (seen(element.ownerSVGElement)) note("line", element, getComputedStyle(element).stroke, grounds(element.ownerSVGElement)[0], 3);
  }
  return found;
}"""


def poor(page: "Page") -> list[str]:
    """What falls short; a page on which little was measured is no proof."""
    found = page.evaluate(MEASURE)
    assert len(found) > 60
    return [f"{row['what']} {row['ratio']:.2f}" for row in found if row["ratio"] < row["least"]]


def open_everything(page: "Page") -> None:
    """Forms and lists that are folded away, and controls in their other state."""
    page.get_by_role("button", name="+ Add avatar").click()
    page.get_by_role("button", name="All recordings").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keys").click()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_and_controls_stand_out(browser: "Browser", running: Studio, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"http://{running.address}/")
    page.get_by_role("button", name="Open the console").wait_for()
    page.get_by_label("Operator's token").fill("wrong")
    page.get_by_role("button", name="Open the console").click()
    page.get_by_role("alert").get_by_text("token is missing").wait_for()
    short = [row for row in page.evaluate(MEASURE) if row["ratio"] < row["least"]]
    assert short == []
    page.get_by_label("Operator's token").fill(running.token)
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
