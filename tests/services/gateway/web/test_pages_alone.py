"""The pages without a studio: their files come from the disk, and the test answers in place of the studio."""

import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from services.gateway.audience.links import WatchRefusal
from tests.support.browser.chromium import needs_chromium, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route, WebSocketRoute

pytestmark = needs_chromium

WEB = Path(__file__).parents[4] / "services/gateway/web"
PAGES = {"/": "console/index.html", "/watch/main": "watch/watch.html"}
SITE = "http://studio.test"
HEBREW = "\u05e9\u05dc\u05d5\u05dd"
# In place of the console's main.js: panels whose requests to the studio are added to `asked`. `answer` answers the line
# that was sent with its id.
MAIN = """
import { byId } from "../lib/elements.js";
import { CaptionLine } from "../preview/captions.js";
import { listenToKeys } from "./keys.js";
import { script } from "./panels/say/script.js";
import { speech } from "./panels/speech.js";
localStorage.setItem("persona-studio-script", "One.\\nTwo.");
byId("console").hidden = false;
window.asked = [];
const api = { ask: async (method, path) => { window.asked.push(`${method} ${path}`); } };
const send = (text) => {
    window.asked.push(text);
    return new Promise((resolve) => { window.answer = resolve; });
};
const panels = [speech(api), script(api, send)];
window.draw = (queue, recent, saying = "") => {
    for (const panel of panels) panel({ speech: { queue, recent, saying }, scene: { driver: "speech" } }, true);
};
window.captions = new CaptionLine(byId("caption"), byId("captions"));
listenToKeys({});
window.draw([], []);
"""


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """A page whose files come from the disk; a page error fails the test."""

    def serve(route: "Route") -> None:
        path = urlsplit(route.request.url).path
        file = WEB / PAGES.get(path, path.removeprefix("/web/"))
        if file.name == "main.js":
            route.fulfill(body=MAIN, content_type="text/javascript")
        elif file.is_file():
            route.fulfill(body=file.read_bytes(), content_type=mimetypes.guess_type(file)[0])
        else:
            route.fulfill(status=404, json={"detail": "There is none."})

    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.route(f"{SITE}/**", serve)
    yield page
    context.close()
    assert complaints == []


def draw(page: "Page", queue: list[dict[str, Any]], recent: list[dict[str, Any]]) -> None:
    """Have the console draw this state of the speech queue."""
    page.evaluate("([queue, recent]) => window.draw(queue, recent)", [queue, recent])


def said(name: str, state: str) -> dict[str, Any]:
    """Return a row of the speech queue."""
    return {"id": name, "state": state, "title": name, "note": ""}


def test_interrupt_ends_the_play_of_a_script_between_two_lines_too(page: "Page") -> None:
    page.goto(f"{SITE}/")
    interrupt, play = page.locator("#interrupt"), page.locator("#script-play")
    until(page, "window.draw !== undefined")
    assert interrupt.is_disabled()
    page.keyboard.press("c")
    page.keyboard.press("g")
    until(page, "asked.length === 1")
    page.evaluate("answer('a')")
    draw(page, [said("a", "started")], [])
    page.keyboard.press("i")  # the line has just ended, which the page does not know yet
    draw(page, [], [said("a", "ended")])
    assert play.inner_text() == "Play" and interrupt.is_disabled()
    assert page.evaluate("asked") == ["One.", "POST ./speech/interrupt"]

    page.keyboard.press("g")
    until(page, "asked.length === 3")
    assert interrupt.is_enabled(), "while a script plays and nothing is spoken"
    interrupt.click()  # while the line is on its way to the queue
    page.evaluate("answer('b')")
    until(page, "asked.length === 5")
    draw(page, [], [said("b", "interrupted")])
    assert play.inner_text() == "Play" and interrupt.is_disabled()
    assert page.evaluate("asked.slice(2)") == ["Two.", "POST ./speech/interrupt", "DELETE ./speech/b"]
    page.locator("[data-state=next]").get_by_text("Two.").wait_for()


def test_captions_are_read_from_their_own_side_and_leave_the_program_its_size(page: "Page") -> None:
    page.goto(f"{SITE}/")
    until(page, "window.draw !== undefined")
    heights = []
    for text in ("A line.", f"{HEBREW} ABC. " * 60):
        page.evaluate(
            "(text) => captions.receive({ id: text, text, start: 0, end: null, state: 'started' })", text.strip()
        )
        page.locator("#caption").get_by_text(text.strip()).wait_for()
        heights.append(page.evaluate("document.querySelector('#program').clientHeight"))
    assert heights[0] == heights[1] > 200
    assert page.evaluate("getComputedStyle(document.querySelector('#caption')).direction") == "rtl"
    page.evaluate("(text) => draw([{ id: 'a', state: 'started', title: 'x' }, {}], [], text)", f"{HEBREW}.")
    page.get_by_label("Speech", exact=True).get_by_text(f"Saying {HEBREW}. \u00b7 queue: 1").wait_for()
    assert page.evaluate("getComputedStyle(document.querySelector('#speech-line bdi')).direction") == "rtl"


def test_a_link_that_was_revoked_says_so_in_the_program_s_place(page: "Page") -> None:
    sockets: list[WebSocketRoute] = []

    def opened(socket: "WebSocketRoute") -> None:
        socket.on_message(lambda message: None)
        sockets.append(socket)

    page.route_web_socket("**/watch", opened)
    page.goto(f"{SITE}/watch/main#link=x")
    until(page, "document.querySelector('#state').textContent.includes('Waiting')")
    sockets[0].send('{"caption": {"id": "a", "text": "A line.", "start": 0, "end": null, "state": "started"}}')
    page.get_by_role("button", name="Captions on").wait_for()
    refusal = WatchRefusal.REVOKED
    sockets[0].close(code=refusal.code, reason=refusal.sentence)
    page.locator("#poster").get_by_text(refusal.sentence).wait_for()
    assert page.locator("#captions").is_hidden() and page.locator("#caption").is_hidden()
    page.get_by_role("status").get_by_text(refusal.sentence).wait_for()
