"""The console in a real browser, operated by role and label as a person does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.browser.chromium import drop_file, needs_chromium, until
from tests.support.files.sound_files import tone, wav
from tests.support.jobs.template_farm import template
from tests.support.running.gateway import GatewayStudio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium
LATENCY_IS_SHOWN = """(() => {
    const { count, median, p95 } = studio.latency() ?? { count: 0 };
    return count > 5 && median > 0 && median <= p95 && p95 < performance.now();
})()"""


@pytest.fixture
def page(browser: "Browser", running: GatewayStudio) -> Iterator["Page"]:
    """The console, opened with its token; a page error or a request to another host fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if not at_home(request.url, running) else None)
    page.goto(f"http://{running.address}/#token={running.token}")
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    yield page
    context.close()
    assert complaints == []


def at_home(url: str, running: GatewayStudio) -> bool:
    return url.startswith((f"http://{running.address}/", f"ws://{running.address}/", f"blob:http://{running.address}/"))


def pixels(page: "Page") -> list[int]:
    """Return the luma of the program canvas on a coarse grid."""
    found: list[int] = page.evaluate(
        """() => { const canvas = document.querySelector('[aria-label="Program video"]');
        const small = new OffscreenCanvas(48, 64).getContext('2d'); small.drawImage(canvas, 0, 0, 48, 64);
        return [...small.getImageData(0, 0, 48, 64).data].filter((_, i) => i % 4 === 1); }"""
    )
    return found


@pytest.mark.parametrize("mode", ["ROI", "Full frames"])
def test_the_frame_moves_and_its_latency_is_measured(page: "Page", running: GatewayStudio, mode: str) -> None:
    page.get_by_role("group", name="Preview mode").get_by_role("button", name=mode).click()
    until(page, f"studio.shown() === '{'roi' if mode == 'ROI' else 'full'}'")
    before = pixels(page)
    assert max(before) - min(before) > 50
    running.wait(lambda: max(abs(a - b) for a, b in zip(before, pixels(page), strict=True)) > 20)
    # The latency is as exact as the quickest ping, for which a busy machine needs a while. No frame is older than the
    # page.
    until(page, LATENCY_IS_SHOWN)


def test_both_modes_look_the_same(page: "Page", running: GatewayStudio) -> None:
    running.channel.state = "plate"
    plates = running.channel.plates
    running.channel.plates = plates[:1]  # the plate stands still while the two are compared
    shown = {}
    try:
        for mode, word in (("ROI", "roi"), ("Full frames", "full")):
            page.get_by_role("button", name=mode).click()
            until(page, f"studio.shown() === '{word}'")
            page.get_by_label("State", exact=True).get_by_text("IDLE").wait_for()
            frames = page.evaluate("studio.frames()")
            until(page, f"studio.frames() > {frames + 4}")
            shown[word] = pixels(page)
        apart = [abs(a - b) for a, b in zip(shown["roi"], shown["full"], strict=True)]
        assert sum(apart) / len(apart) < 2
    finally:
        running.channel.plates = plates
        running.channel.state = "live"


def test_a_small_window_is_sent_half_and_looks_the_same(page: "Page", running: GatewayStudio) -> None:
    running.channel.state = "plate"
    plates = running.channel.plates
    running.channel.plates = plates[:1]
    shown, width = {}, "document.querySelector('[aria-label=\"Program video\"]').width"
    try:
        page.get_by_role("button", name="Full frames").click()
        for height, expected in ((800, 480), (460, 240)):
            page.set_viewport_size({"width": 1280, "height": height})
            until(page, f"{width} === {expected}")
            page.get_by_label("State", exact=True).get_by_text("IDLE").wait_for()
            frames = page.evaluate("studio.frames()")
            until(page, f"studio.frames() > {frames + 4}")
            shown[expected] = pixels(page)
        apart = [abs(a - b) for a, b in zip(shown[480], shown[240], strict=True)]
        assert sum(apart) / len(apart) < 4  # one of the two images is scaled twice
        page.get_by_role("button", name="ROI").click()
        until(page, f"{width} === 480")
    finally:
        running.channel.plates = plates
        running.channel.state = "live"


def test_the_token_leaves_the_address(page: "Page", running: GatewayStudio) -> None:
    assert running.token not in page.url
    page.reload()
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()


def test_without_a_token_the_page_asks_for_it(browser: "Browser", running: GatewayStudio) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://{running.address}/")
    page.get_by_label("Operator token").fill("wrong")
    page.get_by_role("button", name="Open the console").click()
    page.get_by_role("alert").get_by_text(re.compile("token is missing or wrong")).wait_for()
    page.get_by_label("Operator token").fill(running.token)
    page.get_by_role("button", name="Open the console").click()
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    context.close()


def test_controls_change_the_scene(page: "Page", running: GatewayStudio) -> None:
    page.get_by_role("button", name="AI label on").click()
    page.get_by_role("button", name="AI label off").wait_for()
    assert running.state()["scene"]["label"] is False
    page.keyboard.press("l")
    page.get_by_role("button", name="AI label on").wait_for()
    neutral = running.state()["scene"]["neutral"]
    page.keyboard.press("n")
    running.wait(lambda: running.state()["scene"]["neutral"] == neutral + 1)
    page.get_by_role("button", name=re.compile("^mona")).click()
    running.wait(lambda: running.state()["scene"]["avatar"] == "mona")
    page.keyboard.press("2")
    running.wait(lambda: running.state()["scene"]["avatar"] == "sample")


def test_going_off_air_asks_once(page: "Page", running: GatewayStudio) -> None:
    page.get_by_role("button", name="Go off air").click()
    assert running.state()["scene"]["on_air"] is True
    page.get_by_role("button", name="Confirm off air").click()
    page.get_by_label("State", exact=True).get_by_text("OFF").wait_for()
    assert "OFF" in page.title()
    page.get_by_role("button", name="Go on air").click()
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    assert "ON AIR" in page.title()


def recorded(page: "Page", running: GatewayStudio) -> None:
    """Make a recording from the page."""
    page.get_by_role("button", name="● Record").click()
    running.wait(lambda: running.state()["outputs"]["record"]["state"] == "live")
    page.get_by_role("button", name="Stop recording").click()
    running.wait(lambda: running.state()["outputs"]["record"]["state"] == "off")


def test_recording_from_the_page(page: "Page", running: GatewayStudio) -> None:
    recorded(page, running)
    page.get_by_role("button", name="Download").wait_for()


def test_old_recordings_are_listed_and_fetched(page: "Page", running: GatewayStudio) -> None:
    recorded(page, running)
    page.get_by_role("button", name="All recordings").click()
    newest = page.get_by_role("list", name="Recordings").get_by_role("button").first
    with page.expect_download() as download:
        newest.click()
    name = download.value.suggested_filename
    assert Path(download.value.path()).read_bytes() == (running.settings.home / "recordings" / name).read_bytes()


def test_an_uploaded_driver_is_deleted_after_asking_once(page: "Page", running: GatewayStudio) -> None:
    kept = running.settings.home / "drivers" / "0123456789abcdef.mp4"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(b"film")
    kept.with_suffix(".txt").write_text("old clip.mp4", encoding="utf-8")
    remove = page.get_by_role("button", name="Delete driver old clip.mp4")
    remove.click()
    assert kept.exists() and remove.inner_text() == "Delete?"
    remove.click()
    remove.wait_for(state="detached")
    assert not kept.exists() and not kept.with_suffix(".txt").exists()


def test_the_push_and_the_clean_feed_say_why_they_cannot_be_had(page: "Page", running: GatewayStudio) -> None:
    push = page.get_by_role("button", name="Start streaming")
    assert push.is_disabled()
    page.get_by_text("set rtmp_url in studio.toml").wait_for()
    group = page.get_by_role("group", name="Outputs without the AI label")
    assert all(button.is_disabled() for button in group.get_by_role("button").all())
    page.get_by_text("set clean_feed_right to the licence").wait_for()


def test_unavailable_things_say_why_and_errors_are_beside_them(page: "Page", running: GatewayStudio) -> None:
    page.get_by_text("Unavailable engines (1)").click()
    absent = page.get_by_role("list", name="Unavailable engines").get_by_role("listitem")
    line = absent.filter(has_text="LivePortrait").inner_text()
    assert "Weights are missing: studio weights pull live-portrait." in line and "Weights for research only." in line
    assert page.get_by_role("button", name="LivePortrait").count() == 0
    assert "Weights" not in page.get_by_role("button", name="Mesh warp").inner_text()
    page.get_by_label("Driver address").fill("file:/etc/passwd")
    page.get_by_role("button", name="Use", exact=True).click()
    page.get_by_role("alert").get_by_text(re.compile("A driver is sample")).wait_for()
    assert running.state()["scene"]["driver"] == "sample"


def test_keys_are_shown_on_question_mark(page: "Page") -> None:
    page.keyboard.press("?")
    page.get_by_role("region", name="Keyboard shortcuts").get_by_text("start or stop recording").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("region", name="Keyboard shortcuts").wait_for(state="hidden")


def test_a_silent_stage_shows_in_its_row_and_the_frame_stays(page: "Page", running: GatewayStudio) -> None:
    box = page.get_by_role("img", name="Program video").bounding_box()
    running.channel.stop()
    page.get_by_label("State", exact=True).get_by_text("RECOVERING").wait_for()
    page.get_by_role("group", name="compositor").get_by_text(re.compile("being restarted")).wait_for()
    assert page.get_by_role("img", name="Program video").bounding_box() == box
    running.channel.start()
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()


def test_an_uploaded_template_is_selected_and_its_face_is_not_looked_for(
    page: "Page", running: GatewayStudio, tmp_path: Path
) -> None:
    template().save(tmp_path / "walk.npz")
    chooser = page.get_by_label("+ Upload a video, sound or recorded motion")
    try:
        (tmp_path / "bad.npz").write_bytes(b"no motion")
        chooser.set_input_files(tmp_path / "bad.npz")
        page.get_by_role("alert").get_by_text("bad.npz is not a motion template; use one").wait_for()
        chooser.set_input_files(tmp_path / "walk.npz")
        page.get_by_role("button", name="walk.npz recorded motion", pressed=True).wait_for()
        page.get_by_text("driver: recorded motion").wait_for()
        page.keyboard.press("n")
        page.get_by_role("alert").get_by_text("The neutral face of recorded motion cannot be retaken").wait_for()
        running.channel.state = "idle"
        page.get_by_role("log").get_by_text("Idle: the recorded motion shows no face.").wait_for()
    finally:
        running.channel.state = "live"
        running.patch(driver="sample")


def test_the_browsers_camera_drives(page: "Page", running: GatewayStudio) -> None:
    page.get_by_role("button", name="This browser's camera").click()
    page.get_by_text("This page is the driver").wait_for()
    assert running.state()["scene"]["driver"] == "browser"
    page.get_by_role("button", name="Sample clip").click()
    running.wait(lambda: any("camera stopped" in event["text"] for event in running.state()["log"]))


def test_a_speech_file_is_dropped_on_the_page_said_and_interrupted(page: "Page", running: GatewayStudio) -> None:
    interrupt = page.get_by_role("button", name="Interrupt")
    assert interrupt.is_disabled()
    try:
        # hello.wav lasts longer than all the waiting below, and takes longer to send than again.wav.
        for name, seconds in (("hello.wav", 600), ("again.wav", 1)):
            drop_file(page, wav(tone(seconds, rate=8000), 8000), name)
        page.get_by_label("Speech", exact=True).get_by_text("Saying hello.wav · queue: 1").wait_for()
        assert running.state()["scene"]["driver"] == "speech"
        page.get_by_role("button", name="Clear queue").click()
        page.get_by_label("Speech", exact=True).get_by_text("Saying hello.wav", exact=True).wait_for()
        page.keyboard.press("i")
        page.get_by_label("Speech", exact=True).get_by_text("Waiting for speech").wait_for()
        page.get_by_label("Speech file").set_input_files({"name": "x.wav", "mimeType": "audio/wav", "buffer": b"no"})
        page.get_by_role("alert").get_by_text("x.wav is a text file; give a video or sound file.").wait_for()
    finally:
        running.patch(driver="sample")


def test_the_browsers_microphone_drives_alone(page: "Page", running: GatewayStudio) -> None:
    page.get_by_role("button", name="This browser's microphone").click()
    page.get_by_text("This page is the driver").wait_for()
    assert running.state()["scene"]["driver"] == "microphone"
    page.get_by_role("button", name="Sample clip").click()
    running.wait(lambda: any("microphone stopped" in event["text"] for event in running.state()["log"]))


def test_a_restarted_gateway_is_found_again(page: "Page", running: GatewayStudio) -> None:
    running.kill()
    page.get_by_label("State", exact=True).get_by_text("NO LINK").wait_for()
    page.get_by_text("Connection lost, reconnecting").wait_for()
    running.start()
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    frames = page.evaluate("studio.frames()")
    until(page, f"studio.frames() > {frames + 5}")


# Plays 30 blocks of 40 ms on a driven audio clock: ten that arrive 10 ms after they are due, ten made-up blocks that
# arrive 80 ms after, and ten that are in time again. Returns how long after it is due each block plays, in ms; null for
# a block that does not play.
SOUND_AFTER_A_GAP = """async () => {
    const { ProgramSound } = await import("/web/preview/sound.js");
    const played = [], sound = new ProgramSound();
    const context = {
        state: "running", currentTime: 0, destination: null,
        createBuffer: () => ({ getChannelData: () => [] }),
        createBufferSource: () => ({ connect: () => null, start: (at) => played.push(at) }),
    };
    Object.assign(sound, { context, gain: {}, listening: true });
    return Array.from({ length: 30 }, (_, tick) => {
        const madeUp = tick >= 10 && tick < 20;
        context.currentTime = tick * 0.04 + (madeUp ? 0.08 : 0.01);
        played.length = 0;
        sound.play(tick * 40_000, new Uint8Array(8), madeUp);
        return played.length ? Math.round((played[0] - tick * 0.04) * 1000) : null;
    });
}"""


def test_sound_is_no_later_after_a_gap_than_before(page: "Page") -> None:
    """Blocks that the gateway makes up arrive later than real ones; the schedule must not stay that late."""
    late = page.evaluate(SOUND_AFTER_A_GAP)
    assert late[:10] == [70] * 10 and late[20:] == [None] + [70] * 9 and len(late) == 30


def test_panels_scroll_and_the_page_does_not(page: "Page") -> None:
    """The panels scroll and the page does not, however much the panels hold."""
    page.get_by_role("heading", name="Engine").wait_for()
    columns = page.evaluate("[...document.querySelectorAll('aside')].map((each) => each.scrollHeight)")
    assert max(columns) > 720
    assert page.evaluate("document.documentElement.scrollHeight") == 720


def test_it_fits_a_phone_held_upright(page: "Page") -> None:
    page.set_viewport_size({"width": 360, "height": 844})
    page.get_by_text("Unavailable engines (1)").click()
    page.get_by_role("button", name="+ New watch link").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.evaluate("scrollTo(0, 0)")
    for name in ("Mute program", "Go off air"):
        box = page.get_by_role("button", name=name).bounding_box()
        assert box and box["y"] + box["height"] <= 844


def test_the_api_page_names_what_routes_answer_and_its_fields(page: "Page", running: GatewayStudio) -> None:
    page.goto(f"http://{running.address}/api/v1/docs")
    route = page.get_by_role("article").filter(has_text="POST/api/v1/jobs/{job}/cancel")
    route.get_by_role("link", name="JobDetail").click()
    fields = page.locator("#JobDetail").get_by_role("row")
    fields.filter(has_text="segments").get_by_role("link", name="Segment").wait_for()
    assert page.locator("#JobDetail").bounding_box() is not None and page.url.endswith("#JobDetail")
