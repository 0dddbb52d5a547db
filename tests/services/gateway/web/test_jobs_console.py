"""The Jobs panel in a real browser, operated by role and label, with jobs in the store as workers leave them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.jobs import claims, status
from shared.jobs.graph import follow_name, render_name
from shared.jobs.manifest import read_job_manifest
from shared.jobs.store import Store
from tests.support.browser.chromium import needs_chromium, until
from tests.support.browser.contrast import poor
from tests.support.files.sound_files import tone, wav
from tests.support.jobs import job_material as material
from tests.support.running.gateway import GatewayStudio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = needs_chromium


@pytest.fixture
def page(browser: "Browser", running: GatewayStudio, store: Store) -> Iterator["Page"]:
    """The console with its Jobs panel open; a page error fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    enter(page, running)
    yield page
    context.close()
    assert complaints == []


def enter(page: "Page", running: GatewayStudio) -> None:
    page.goto(f"http://{running.address}/#token={running.token}")
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    page.keyboard.press("j")
    page.get_by_role("tabpanel", name=re.compile("^Jobs")).wait_for()


def row(page: "Page", name: str) -> "Locator":
    return page.get_by_role("group", name=re.compile(f"^Job {name}"))


def test_no_jobs_explain_themselves_and_the_line_says_so(page: "Page") -> None:
    page.get_by_text("No jobs yet. A job renders an avatar").wait_for()
    page.get_by_role("button", name="jobs: none").wait_for()


def test_how_far_how_fast_how_long_and_what_fails(page: "Page", store: Store) -> None:
    going, stuck, done = (material.job(store, number, driver=f"{number}.mp4") for number in (1, 2, 3))
    material.begin(store, going, 3, 2)
    material.begin(store, stuck, 1)
    material.fail(store, stuck, 3, "The engine made no frame.")
    material.complete(store, done)
    shown = row(page, going)
    shown.get_by_text("● rendering").wait_for()
    shown.get_by_text("46.8 fps · 0:30 left").wait_for()
    assert shown.get_by_role("progressbar", name="rendered").get_attribute("aria-valuenow") == "54"
    shown.get_by_role("img", name="segments: 3 done, 2 rendering, 3 waiting").wait_for()
    broken = row(page, stuck)
    broken.get_by_text("✕ parked").wait_for()
    broken.get_by_text("segment 4, attempt 3: The engine made no frame.").wait_for()
    broken.get_by_role("img", name="segments: 1 done, 6 waiting, 1 failing").wait_for()
    row(page, done).get_by_text("✓ done").wait_for()
    page.get_by_role("button", name="jobs: 1 running, 1 parked").wait_for()
    page.get_by_role("tab", name="Jobs · 2").wait_for()


def test_a_clip_shows_its_steps_and_no_frames(page: "Page", store: Store) -> None:
    name = material.job(store, 1, units=material.WINDOWS)
    material.begin_windows(store, name)
    shown = row(page, name)
    shown.get_by_text(
        "1 of 4 units; step-1-window-1 at step 3 of 10, window 2 of 2 in step 1 of 1 (60 %) · 0:22 left"
    ).wait_for()
    shown.get_by_role("img", name="units: 1 done, 2 rendering, 1 waiting").wait_for()
    assert "fps" not in shown.inner_text()
    shown.get_by_role("img", name="preview").wait_for()
    before = shown.get_by_role("img", name="preview").get_attribute("src")
    material.finish(store, name, "step-1-window-1")
    material.frame(store, name, tint=200)
    until(page, f"document.querySelector('.job img').getAttribute('src') !== '{before}'")


def test_the_preview_image_is_refreshed(page: "Page", store: Store) -> None:
    name = material.job(store, 1)
    material.begin(store, name, 1)
    image = row(page, name).get_by_role("img", name="preview")
    image.wait_for()
    before = image.get_attribute("src")
    material.finish(store, name, follow_name(1))
    material.finish(store, name, render_name(1))
    material.frame(store, name, tint=200)
    until(page, f"document.querySelector('.job img').getAttribute('src') !== '{before}'")
    until(page, "document.querySelector('.job img').naturalWidth > 0")


def test_steering_by_keyboard_alone_and_what_cannot_be_undone_asks_once(page: "Page", store: Store) -> None:
    name = material.job(store, 1)
    shown = row(page, name)
    shown.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    shown.get_by_text("‖ paused").wait_for()
    shown.get_by_role("button", name="Resume").focus()
    page.keyboard.press("Enter")
    shown.get_by_text("○ queued").wait_for()
    shown.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    shown.get_by_role("button", name="Cancel job?").wait_for()
    page.keyboard.press("Escape")
    assert status.read_wanted_state(store, name) == "run"
    shown.get_by_role("button", name="Cancel").click()
    shown.get_by_role("button", name="Cancel job?").click()
    shown.get_by_text("⊘ cancelled").wait_for()
    shown.get_by_role("button", name="Remove").click()
    assert store.list("jobs") == [name]
    shown.get_by_role("button", name="Remove job?").click()
    shown.wait_for(state="detached")
    assert store.list("jobs") == []


def test_a_parked_job_is_tried_again(page: "Page", store: Store) -> None:
    name = material.job(store, 1)
    material.fail(store, name, 0, "No.")
    row(page, name).get_by_role("button", name="Retry").click()
    row(page, name).get_by_text("✕ parked").wait_for(state="detached")
    assert not claims.read_unit_state(store, name, render_name(0)).parked


def test_the_result_is_downloaded(page: "Page", store: Store) -> None:
    name = material.job(store, 1, driver="talk.mp4")
    material.complete(store, name, b"the finished film")
    with page.expect_download() as download:
        row(page, name).get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == f"talk-{name}.mp4"
    assert Path(download.value.path()).read_bytes() == b"the finished film"


def test_tabs_and_keys_go_there_and_back_and_the_frame_stays(page: "Page") -> None:
    box = page.get_by_role("img", name="Program video").bounding_box()
    page.keyboard.press("j")
    page.get_by_role("heading", name="Health").wait_for()
    page.get_by_role("tab", name="Program").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="+ New job").wait_for()
    assert page.get_by_role("tab", name=re.compile("^Jobs")).get_attribute("aria-selected") == "true"
    assert page.get_by_role("img", name="Program video").bounding_box() == box


def test_a_job_is_submitted_from_this_computer_and_from_the_inbox(
    page: "Page", running: GatewayStudio, store: Store, avatar: str
) -> None:
    speech = wav(tone(1, rate=16_000), 16_000)
    page.get_by_role("button", name="+ New job").click()
    form = page.get_by_role("form", name="New job")
    form.get_by_label("Avatar").select_option(avatar)
    form.get_by_label("Engine").select_option("mesh")
    form.get_by_label("Driver: video, speech or recorded motion").set_input_files(
        {"name": "broken.mp4", "mimeType": "video/mp4", "buffer": b"no film"}
    )
    form.get_by_role("button", name="Submit").click()
    page.get_by_role("alert").get_by_text("broken.mp4 is a text file; give a video or sound file.").wait_for()
    form.get_by_label("Driver: video, speech or recorded motion").set_input_files(
        {"name": "talk.wav", "mimeType": "audio/wav", "buffer": speech}
    )
    form.get_by_label("Priority").select_option("high")
    form.get_by_text("More", exact=True).click()
    form.get_by_label("Codec").select_option("hevc")
    form.get_by_label("Size").fill("360x640")
    form.get_by_label("AI label").uncheck()
    form.get_by_role("button", name="Submit").click()
    page.get_by_role("group", name=re.compile("talk.wav, queued")).get_by_text("high").wait_for()
    form.wait_for(state="hidden")
    assert not page.get_by_role("alert").get_by_text("broken").count()
    (job,) = store.list("jobs")
    asked = read_job_manifest(store, job)
    assert (asked.output["codec"], asked.output["size"], asked.output["label"]) == ("hevc", [360, 640], False)

    folder = running.settings.home / "inbox"
    folder.mkdir(exist_ok=True)
    (folder / "from the disk.wav").write_bytes(speech)
    page.get_by_role("button", name="+ New job").focus()
    page.keyboard.press("Enter")
    form.get_by_label("Driver from").select_option("the studio's inbox")
    form.get_by_label("File in the inbox").select_option("from the disk.wav")
    form.get_by_role("button", name="Submit").focus()
    page.keyboard.press("Enter")
    page.get_by_role("group", name=re.compile("from the disk.wav, queued")).wait_for()
    page.get_by_text("No worker is running yet, so jobs wait").wait_for()


def test_many_jobs_are_shown_a_page_at_a_time_by_state(page: "Page", store: Store) -> None:
    made = [material.job(store, number) for number in range(120)]
    material.begin(store, made[0], 1, 1)  # the oldest job is the one in progress: it is shown nevertheless
    rows = page.get_by_role("list", name="Jobs").get_by_role("listitem")
    page.get_by_role("button", name="More (69)").wait_for()
    assert rows.count() == 51 and row(page, made[0]).count() == 1
    page.get_by_role("button", name="More (69)").click()
    page.get_by_role("button", name=re.compile(r"More \((19|20)\)")).wait_for()
    page.get_by_role("combobox", name=re.compile("^Show")).select_option("rendering")
    row(page, made[119]).wait_for(state="detached")
    assert rows.count() == 1


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_it_stands_out_and_fits_a_phone(browser: "Browser", running: GatewayStudio, store: Store, scheme: Any) -> None:
    names = [material.job(store, number, driver="a-long-name-of-a-film-" * 4 + ".mp4") for number in range(6)]
    material.begin(store, names[0], 2, 1)
    material.fail(store, names[1], 0, "A reason that is a whole sentence, as long as sentences are.")
    material.complete(store, names[2])
    status.set_wanted_state(store, names[3], "paused")
    status.set_wanted_state(store, names[4], "cancelled")
    context = browser.new_context(viewport={"width": 1280, "height": 1400}, color_scheme=scheme)
    page = context.new_page()
    enter(page, running)
    row(page, names[1]).get_by_text("✕ parked").wait_for()
    page.get_by_role("button", name="+ New job").click()
    page.get_by_text("More", exact=True).click()
    row(page, names[5]).get_by_role("button", name="Cancel").click()
    assert poor(page) == []
    page.set_viewport_size({"width": 360, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()
