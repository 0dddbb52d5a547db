"""The viewers' page in a real browser, subscribed through a real LiveKit server."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import numpy as np
import pytest

from harness.flash import FlashGateway, flash_gateway
from harness.speech_server import SpeechServer, speech_server
from services.local.livekit_server import LiveKitServer
from shared.config.cache_dir import cache_folder
from tests.support.browser.chromium import needs_chromium
from tests.support.browser.sync import in_sync
from tests.support.running.livekit import SIZE_PX, keys

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(not [*cache_folder().glob("livekit-client-*.mjs")], reason="deploy/livekit.sh was not run"),
]
SHOWN = "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames"
# State of the connections when the page first reported the loss: it must do so immediately, not when the browser gives
# the connections up after 15 seconds of a frozen frame.
WHEN_LOST = """(() => {
    const peers = [], Peer = RTCPeerConnection;
    window.RTCPeerConnection = class extends Peer { constructor(...given) { super(...given); peers.push(this); } };
    new MutationObserver(() => {
        if (!window.whenLost && document.querySelector("#state")?.textContent.includes("reconnecting"))
            window.whenLost = peers.map((peer) => peer.connectionState);
    }).observe(document, { subtree: true, childList: true, characterData: true });
})()"""
WATCHING = (Path(__file__).parent / "watching.js").read_text(encoding="utf-8")


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """An empty page; a script error or a violation of the page's security policy fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    yield page
    context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def voice() -> Iterator[SpeechServer]:
    with speech_server() as made:
        yield made


@pytest.fixture(scope="module")
def published(livekit_server: LiveKitServer, voice: SpeechServer) -> Iterator[FlashGateway]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDIO_VOICE_OPENAI_URL", voice.url)
        with flash_gateway(SIZE_PX, livekit=True, **keys(livekit_server)) as running:
            running.wait(lambda: running.livekit()["state"] == "live")
            yield running


def link(running: FlashGateway) -> str:
    return f"http://{running.address}{running.post('viewers').raise_for_status().json()['watch']}"


def apart(found: dict[str, Any]) -> list[float]:
    """Return the milliseconds from each flash to the nearest beep."""
    beeps = np.array(found["beeps"])
    return [float((beeps - flash)[np.abs(beeps - flash).argmin()]) for flash in found["flashes"][:-1] if len(beeps)]


def test_a_viewer_sees_and_hears_the_program_in_sync(published: FlashGateway, page: "Page") -> None:
    page.goto(link(published))
    page.get_by_role("status").get_by_text("Live").wait_for()
    page.get_by_role("button", name="Turn sound on").click()
    found: dict[str, Any] = {}

    def look() -> list[float]:
        found.update(page.evaluate(f"({WATCHING})(9)"))
        return apart(found)

    assert in_sync(look)
    assert found["sizes"][-1] == f"{SIZE_PX[0]}x{SIZE_PX[1]}"
    assert len(set(found["columns"])) > 2  # the bar moves
    assert abs(float(np.median(found["hertz"])) - 1000) < 60
    page.get_by_label("Figures").get_by_text(str(SIZE_PX[0])).wait_for()
    page.get_by_role("button", name="Turn sound off").click()
    assert page.evaluate("document.querySelector('video').muted")


def test_a_viewer_reads_what_is_heard_and_can_turn_that_off(
    published: FlashGateway, page: "Page", voice: SpeechServer
) -> None:
    voice.mode = "stall"  # until the caption has been checked
    page.goto(link(published))
    page.get_by_role("status").get_by_text("Live").wait_for()
    switch = page.get_by_role("button", name="Captions")
    assert switch.is_hidden()
    published.post("speech", {"text": "A sentence that is read.", "voice": "openai"}).raise_for_status()
    page.locator("#caption", has_text="A sentence that is read.").wait_for()
    switch.click()
    assert page.locator("#caption").is_hidden()
    switch.click()
    assert page.locator("#caption").is_visible()
    voice.release.set()
    page.locator("#caption:empty").wait_for(state="attached")  # the caption has ended
    published.patch(driver="sample").raise_for_status()


def test_a_viewer_comes_back_when_the_server_does(
    published: FlashGateway, page: "Page", livekit_server: LiveKitServer
) -> None:
    page.add_init_script(WHEN_LOST)
    page.goto(link(published))
    page.get_by_role("status").get_by_text("Live").wait_for()
    livekit_server.kill()
    page.get_by_role("status").get_by_text("again").or_(page.get_by_text("reconnecting")).wait_for()
    assert page.evaluate("window.whenLost") and "failed" not in page.evaluate("window.whenLost")
    livekit_server.start()
    page.get_by_role("status").get_by_text("Live").wait_for()
    before = page.evaluate(SHOWN)
    published.wait(lambda: page.evaluate(SHOWN) > before + 20)


def test_only_the_operator_makes_links(published: FlashGateway, livekit_server: LiveKitServer) -> None:
    url = f"/channels/{published.settings.channel}/viewers"
    assert published.http.post(url, headers={"Authorization": "Bearer no"}).status_code == 401
    assert published.http.post(url, json={"minutes": 600}).status_code == 422
    given = published.http.post(url, json={"minutes": 2}).json()
    claims = jwt.decode(given["token"], livekit_server.secret, algorithms=["HS256"])
    assert claims["exp"] == given["expires"] and claims["exp"] - claims["nbf"] < 140
    assert claims["video"]["canSubscribe"] and not claims["video"]["canPublish"]


def test_the_page_may_speak_to_the_livekit_server_alone(published: FlashGateway) -> None:
    answer = published.http.get(f"http://{published.address}/watch/main")
    policy = answer.headers["content-security-policy"]
    host = published.settings.livekit_url.rpartition("/")[2]
    assert f"connect-src 'self' ws://{host} http://{host};" in policy
    assert "unsafe" not in policy and "<script>" not in answer.text and "style=" not in answer.text
    assert published.settings.livekit_api_secret.get_secret_value() not in answer.text


def test_a_link_that_cannot_work_says_why(published: FlashGateway, page: "Page") -> None:
    old = base64.urlsafe_b64encode(json.dumps({"exp": 100}).encode()).decode()
    for fragment, words in (("", "incomplete"), (f"#token=a.{old}.c", "expired")):
        page.goto("about:blank")
        page.goto(f"http://{published.address}/watch/main{fragment}")
        page.get_by_role("status").get_by_text(words).wait_for()


def test_without_the_library_the_page_names_the_command(
    livekit_server: LiveKitServer, page: "Page", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONA_STUDIO_CACHE", str(tmp_path))
    with flash_gateway((64, 48), **keys(livekit_server)) as running:
        page.goto(link(running))
        page.get_by_role("status").get_by_text("deploy/livekit.sh").wait_for()


def test_the_console_switches_it_and_makes_links(published: FlashGateway, page: "Page") -> None:
    page.goto(f"http://{published.address}/#token={published.token}")
    panel = page.get_by_role("group", name="LiveKit")
    panel.get_by_role("status").get_by_text("live").wait_for()
    panel.get_by_text("kbit/s").wait_for()
    panel.get_by_role("button", name="Create watch link").click()
    panel.get_by_label("Watch link").wait_for()
    assert "/watch/main#token=" in panel.get_by_label("Watch link").input_value()
    panel.get_by_role("button", name="Stop publishing").click()
    panel.get_by_role("status").get_by_text("off").wait_for()
    panel.get_by_role("button", name="Publish to LiveKit").click()
    panel.get_by_role("status").get_by_text("live", exact=False).wait_for()


def test_without_a_key_the_console_says_how_to_get_one(page: "Page") -> None:
    with flash_gateway((64, 48)) as running:
        page.goto(f"http://{running.address}/#token={running.token}")
        panel = page.get_by_role("group", name="LiveKit")
        panel.get_by_text("make live LIVEKIT=1").wait_for()
        assert panel.get_by_role("button", name="Publish to LiveKit").is_disabled()
        assert running.patch(livekit=True).status_code == 409
        assert running.post("viewers").status_code == 409
