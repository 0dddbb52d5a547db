"""This browser as the driver: cameras of any shape, a page in the background, devices that are unplugged."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.browser.chromium import needs_chromium, until
from tests.support.running.gateway import GatewayStudio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium
# A camera that shows a yellow circle and takes the shape that `shape` asks for; `sent` is what goes to the studio.
STUB = """(() => {
    const send = WebSocket.prototype.send, get = MediaDevices.prototype.getUserMedia;
    window.sent = [];
    WebSocket.prototype.send = function (data) {
        if (data instanceof Blob) window.sent.push(data);
        return send.call(this, data);
    };
    const canvas = document.createElement("canvas"), draw = canvas.getContext("2d");
    window.shape = (width, height) => { canvas.width = width; canvas.height = height; };
    window.shape(640, 480);
    setInterval(() => {
        draw.fillStyle = "#224";
        draw.fillRect(0, 0, canvas.width, canvas.height);
        draw.fillStyle = "#ff0";
        draw.beginPath();
        draw.arc(canvas.width / 2, canvas.height / 2, 0.3 * Math.min(canvas.width, canvas.height), 0, 7);
        draw.fill();
    }, 20);
    MediaDevices.prototype.getUserMedia = async function (wanted) {
        const stream = await get.call(this, wanted);
        if (wanted.video) {
            const [old] = stream.getVideoTracks();
            stream.removeTrack(old);
            stream.addTrack(canvas.captureStream(25).getVideoTracks()[0]);
        }
        window.devices = stream;
        return stream;
    };
})()"""
# Size of the last frame that was sent, and of the circle in it, which is 0 where no circle is visible.
LAST = """async () => {
    if (!window.sent.length) return [0, 0, 0, 0];
    const image = await createImageBitmap(window.sent.at(-1).slice(1));
    const draw = new OffscreenCanvas(image.width, image.height).getContext("2d");
    draw.drawImage(image, 0, 0);
    const { data } = draw.getImageData(0, 0, image.width, image.height);
    const xs = [], ys = [];
    for (let i = 0; i < data.length; i += 4) {
        if (data[i] > 160 && data[i + 2] < 110) {
            xs.push((i / 4) % image.width);
            ys.push(Math.floor(i / 4 / image.width)); }
    }
    const side = (all) => all.reduce((a, b) => Math.max(a, b), 0) - all.reduce((a, b) => Math.min(a, b), 1e4) + 1;
    return [image.width, image.height, xs.length ? side(xs) : 0, ys.length ? side(ys) : 0];
}"""
NO_TIMERS = """() => {
    for (let last = setTimeout(() => {}, 0); last >= 0; last -= 1) clearTimeout(last);
    window.setInterval = window.setTimeout = window.requestAnimationFrame = () => 0;
    HTMLCanvasElement.prototype.toBlob = () => {};
}"""
DRIVES = "This page is the driver"


@pytest.fixture
def page(browser: "Browser", running: GatewayStudio) -> Iterator["Page"]:
    """The console, with the camera of STUB as the driver."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.add_init_script(STUB)
    page.goto(f"http://{running.address}/#token={running.token}")
    page.get_by_role("button", name="This browser's camera").click()
    page.get_by_text(DRIVES).wait_for()
    yield page
    context.close()
    running.patch(driver="sample")
    assert complaints == []


def stopped(running: GatewayStudio, device: str) -> bool:
    """Return whether the last event of the log about `device` says that it stopped."""
    said = [event["text"] for event in running.state()["log"] if f"browser's {device}" in event["text"]]
    return bool(said) and "stopped" in said[-1]


def test_a_camera_keeps_its_shape_however_it_is_held(page: "Page") -> None:
    wanted = {
        (480, 640): (480, 640), (640, 480): (640, 480), (1280, 720): (640, 360), (1080, 1920): (360, 640),
        (500, 500): (500, 500),
        (200, 640): (200, 640),
    }  # fmt: skip
    for given, sent in wanted.items():
        page.evaluate("([width, height]) => window.shape(width, height)", list(given))
        until(page, f"({LAST})().then(([w, h, x]) => w === {sent[0]} && h === {sent[1]} && x > 0)")
        width, height, across, down = page.evaluate(LAST)
        assert across == pytest.approx(down, abs=4) and across == pytest.approx(0.6 * min(width, height), abs=6)


def test_it_goes_on_while_the_page_has_no_timers(page: "Page") -> None:
    page.evaluate(NO_TIMERS)  # as in a page in the background, whose timers hardly run
    page.evaluate("() => { window.sent.length = 0; }")
    until(page, "window.sent.length > 20")


@pytest.mark.parametrize("word", ["track.stop(); track.dispatchEvent(new Event('ended'))", "track.stop()"])
def test_a_camera_that_is_gone_is_noticed_and_gives_the_driver_up(
    page: "Page", running: GatewayStudio, word: str
) -> None:
    page.evaluate(f"() => {{ const [track] = window.devices.getVideoTracks(); {word}; }}")
    page.get_by_text("The camera was unplugged").wait_for()
    running.wait(lambda: stopped(running, "camera"))
    assert page.evaluate("window.devices.getTracks().every((track) => track.readyState === 'ended')")
    page.get_by_role("button", name="This browser's camera").click()
    page.get_by_text(DRIVES).wait_for()


def test_a_microphone_that_is_gone_is_named_and_the_camera_goes_on(page: "Page") -> None:
    page.evaluate(
        "() => { const [track] = window.devices.getAudioTracks(); track.stop(); track.dispatchEvent(new "
        "Event('ended')); }"
    )
    page.get_by_text("without sound: the microphone was unplugged").wait_for()
    page.evaluate("() => { window.sent.length = 0; }")
    until(page, "window.sent.length > 5")


def test_a_microphone_that_drives_and_is_gone_gives_the_driver_up(page: "Page", running: GatewayStudio) -> None:
    page.get_by_role("button", name="This browser's microphone").click()
    until(page, "window.devices.getVideoTracks().length === 0")  # the camera, which drove before, is released
    running.wait(lambda: any("browser's microphone" in event["text"] for event in running.state()["log"]))
    page.get_by_text(DRIVES).wait_for()
    page.evaluate(
        "() => { const [track] = window.devices.getAudioTracks(); track.stop(); track.dispatchEvent(new "
        "Event('ended')); }"
    )
    page.get_by_text("The microphone was unplugged").wait_for()
    running.wait(lambda: stopped(running, "microphone"))


def test_a_state_from_before_the_driver_was_chosen_stops_nothing(page: "Page") -> None:
    stopped_by = page.evaluate("""async () => {
        const { BrowserCamera } = await import("/web/driver/camera.js");
        const socket = { readyState: WebSocket.OPEN, addEventListener() {}, close() {} };
        const camera = new BrowserCamera({ socket: () => socket });
        camera.word = "microphone";
        camera.start(7);
        return [["browser", 6], ["microphone", 7], ["sample", 8]].map(([driver, revision]) => {
            camera.follow({ driver, revision });
            return camera.socket === null;
        });
    }""")
    assert stopped_by == [False, False, True]


def test_a_camera_that_is_off_for_a_while_sends_nothing_and_says_so(page: "Page") -> None:
    page.evaluate("""() => {
        const [track] = window.devices.getVideoTracks();
        window.off = true;
        Object.defineProperty(track, "muted", { get: () => window.off });
        track.dispatchEvent(new Event("mute"));
    }""")
    page.get_by_text("The camera is sending nothing").wait_for()
    page.evaluate(
        "() => { window.off = false; window.devices.getVideoTracks()[0].dispatchEvent(new Event('unmute')); "
        "window.sent.length = 0; }"
    )
    page.get_by_text(DRIVES).wait_for()
    until(page, "window.sent.length > 5")


def test_one_that_was_stopped_does_not_end_the_next(page: "Page") -> None:
    for name in ("microphone", "camera", "microphone", "camera"):
        page.get_by_role("button", name=f"This browser's {name}").click()
        page.get_by_text(DRIVES).wait_for()
    page.evaluate("() => { window.sent.length = 0; }")
    until(page, "window.sent.length > 20")
    assert page.get_by_text(DRIVES).is_visible()
