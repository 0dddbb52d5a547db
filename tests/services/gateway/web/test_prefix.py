"""The pages below a path prefix, and in an iframe on another site's page where a setting allows it."""

import re
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from tests.support.browser.chromium import needs_chromium, until
from tests.support.running.gateway import GatewayStudio, studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = needs_chromium
PREFIX = "/tools/studio"


@pytest.fixture(scope="module")
def friend() -> Iterator[int]:
    """Port of another site, whose page embeds the address in its query in an iframe."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = f"<iframe src='{unquote(self.path.partition('?')[2])}'></iframe>".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def running(friend: int) -> Iterator[GatewayStudio]:
    """A gateway below a path prefix, whose watch page one other site may embed."""
    allowed = [f"http://localhost:{friend}"]
    with (
        tempfile.TemporaryDirectory() as folder,
        studio(Path(folder), path_prefix=PREFIX, frame_ancestors=allowed) as made,
    ):
        yield made


@pytest.fixture
def page(browser: "Browser", running: GatewayStudio, friend: int) -> Iterator["Page"]:
    """An empty page; a request outside the path prefix fails the test."""
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    foreign: list[str] = []
    below = tuple(f"{scheme}://{running.address}{PREFIX}" for scheme in ("http", "ws"))
    below += ("blob:", f"http://localhost:{friend}/", f"http://127.0.0.1:{friend}/")
    page.on("request", lambda request: None if request.url.startswith(below) else foreign.append(request.url))
    page.on("websocket", lambda socket: None if socket.url.startswith(below) else foreign.append(socket.url))
    page.on("pageerror", lambda error: foreign.append(str(error)))
    yield page
    context.close()
    assert foreign == []


def console(page: "Page", running: GatewayStudio) -> None:
    page.goto(f"http://{running.address}{PREFIX}#token={running.token}")
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()


def test_the_console_works_and_downloads(page: "Page", running: GatewayStudio) -> None:
    folder = running.settings.home / "recordings"
    folder.mkdir(exist_ok=True)
    (folder / "main-20200102-030405.mp4").write_bytes(b"film")
    console(page, running)
    until(page, "studio.frames() > 5")
    page.get_by_role("button", name="This browser's microphone").click()
    page.get_by_text("This page is the driver").wait_for()
    page.get_by_role("button", name="Sample clip").click()
    page.get_by_role("button", name=re.compile("[Rr]ecordings")).first.click()
    with page.expect_download() as fetched:
        page.get_by_role("listitem").filter(has_text="main-20200102-030405").get_by_role("button").first.click()
    assert fetched.value.path().read_bytes() == b"film"


def test_the_page_of_the_api_finds_its_schema(page: "Page", running: GatewayStudio) -> None:
    page.goto(f"http://{running.address}{PREFIX}/api/v1/docs")
    page.get_by_role("article").filter(has_text="POST/api/v1/jobs/{job}/cancel").wait_for()
    assert (
        page.locator("a", has_text="openapi.json")
        .evaluate("link => link.href")
        .endswith(f"{PREFIX}/api/v1/openapi.json")
    )


def test_the_watch_page_works(page: "Page", running: GatewayStudio) -> None:
    page.goto(f"http://{running.address}{PREFIX}/watch/main")
    page.get_by_role("status").get_by_text("This link is incomplete").wait_for()


def test_the_watch_page_is_shown_in_frames_of_the_site_that_a_setting_names(
    page: "Page", running: GatewayStudio, friend: int
) -> None:
    base = f"http://{running.address}{PREFIX}"
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "frame-ancestors" in said.text else None)
    page.goto(f"http://localhost:{friend}/?{base}/watch/main")
    page.frame_locator("iframe").get_by_role("status").get_by_text("This link is incomplete").wait_for()
    assert refused == []
    # Another site, and pages other than the watch page, are refused.
    for site, path in (("127.0.0.1", "/watch/main"), ("localhost", "/"), ("localhost", "/api/v1/docs")):
        refused.clear()
        page.goto(f"http://{site}:{friend}/?{base}{path}")
        while not refused:
            page.wait_for_timeout(50)


def test_a_page_without_sockets_says_what_the_proxy_has_to_do(page: "Page", running: GatewayStudio) -> None:
    page.route_web_socket(re.compile(".*"), lambda socket: socket.close())
    page.goto(f"http://{running.address}{PREFIX}/#token={running.token}")
    page.get_by_role("status").get_by_text("does not forward WebSockets").wait_for()

    def refuse(route: "Route") -> None:
        if route.request.method == "POST":
            route.fulfill(status=403, json={"detail": "The page is elsewhere."})
        else:
            route.continue_()

    page.route("**/api/v1/version", refuse)
    page.get_by_role("status").get_by_text("The page is elsewhere.").wait_for()
