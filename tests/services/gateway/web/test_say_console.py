"""Speaking a typed text and playing a script in the console, with the voice of a server."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.speech_server import SpeechServer
from shared.jobs.manifest import read_job_manifest
from shared.jobs.store import open_store
from tests.support.browser.chromium import needs_chromium
from tests.support.browser.contrast import MEASURE
from tests.support.running.gateway import GatewayStudio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium


@pytest.fixture
def page(browser: "Browser", speaking: GatewayStudio, server: SpeechServer) -> Iterator["Page"]:
    """The console at the width of a phone; a page error fails the test."""
    server.mode, server.endless = "stream", ""
    server.asked.clear()
    context = browser.new_context(viewport={"width": 360, "height": 844})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"http://{speaking.address}/#token={speaking.token}")
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    yield page
    context.close()
    speaking.http.post("/channels/main/speech/interrupt")
    assert complaints == []


def asked(server: SpeechServer) -> list[str]:
    return [each["input"] for each in server.asked]


def test_enter_says_what_was_typed_and_a_refusal_gives_it_back(
    page: "Page", speaking: GatewayStudio, server: SpeechServer
) -> None:
    server.endless = "Welcome"
    page.keyboard.press("e")
    page.keyboard.type("Good evening. Welcome to the show.")
    page.keyboard.press("Enter")
    page.get_by_label("Speech", exact=True).get_by_text("Saying Welcome to the show.").wait_for()
    assert page.get_by_label("Text", exact=True).input_value() == ""
    speaking.http.post("/channels/main/speech/interrupt")
    speaking.wait(lambda: not speaking.state()["speech"]["queue"])
    server.mode = "refuse"
    page.get_by_label("Text", exact=True).fill("Once more.")
    page.get_by_role("button", name="Say", exact=True).click()
    page.get_by_role("alert").get_by_text("rejects the API key").wait_for()
    assert page.get_by_label("Text", exact=True).input_value() == "Once more."


def test_a_script_of_five_lines_is_played_skipped_repeated_and_kept(
    page: "Page", speaking: GatewayStudio, server: SpeechServer
) -> None:
    server.endless = third = "A third line, which has no end."
    page.keyboard.press("c")
    page.get_by_label("Script, one utterance").fill(f"First line.\n\nSecond.\n{third}\nFour.\nFive.")
    page.get_by_role("button", name="Done").click()
    lines = page.get_by_label("Lines", exact=True).get_by_role("button")
    assert lines.count() == 5
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Play").click()
    page.locator("[aria-current=true]").get_by_text("A third line").wait_for()
    page.keyboard.press("b")  # repeat: the line begins once more
    speaking.wait(lambda: len(asked(server)) == 4)
    page.locator("[aria-current=true]").get_by_text("A third line").wait_for()
    page.keyboard.press("k")
    page.get_by_role("button", name="Play").wait_for()  # the script has ended by itself
    assert asked(server) == ["First line.", "Second.", third, third, "Four.", "Five."]
    lines.nth(2).click()
    page.locator("[aria-current=true]").get_by_text("A third line").wait_for()
    page.keyboard.press("i")
    speaking.wait(lambda: not speaking.state()["speech"]["queue"])
    page.reload()
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    page.keyboard.press("c")
    lines.nth(2).get_by_text("▸").wait_for()
    assert lines.count() == 5


def test_without_a_voice_a_sentence_says_how_to_get_one(browser: "Browser", running: GatewayStudio) -> None:
    page = browser.new_page()
    page.route(
        "**/api/v1/voices",
        lambda route: route.fulfill(json={"voices": [], "note": "No voice can speak here; install one."}),
    )
    page.goto(f"http://{running.address}/#token={running.token}")
    page.get_by_role("status").get_by_text("No voice can speak here; install one.").wait_for()
    page.context.close()


def test_the_line_that_is_heard_stands_below_the_program_on_both_pages(
    browser: "Browser", page: "Page", speaking: GatewayStudio, server: SpeechServer
) -> None:
    server.endless = text = "A sentence <b> that is heard & has no end."
    link = speaking.http.post("/channels/main/watch-links", json={}).json()
    watching = browser.new_context().new_page()
    watching.goto(f"http://{speaking.address}{link['url']}")
    watching.get_by_role("status").get_by_text("Live").wait_for()
    assert watching.locator("#caption").is_hidden() and watching.get_by_role("button", name="Captions").is_hidden()
    said = speaking.http.post("/channels/main/speech", json={"text": text}).json()["id"]
    for each in (page, watching):
        each.locator("#caption").get_by_text(text).wait_for()
        assert [row for row in each.evaluate(MEASURE) if row["ratio"] < row["least"]] == []
        each.get_by_role("button", name="Captions on", exact=True).click()
        each.locator("#caption").wait_for(state="hidden")
        each.get_by_role("button", name="Captions off", exact=True).click()
    speaking.http.post("/channels/main/speech/interrupt")
    for each in (page, watching):
        each.locator("#caption:empty").wait_for(state="attached")
    assert any(row["id"] == said for row in speaking.state()["speech"]["recent"])
    watching.context.close()
    speaking.http.delete(f"/channels/main/watch-links/{link['id']}")


def test_a_job_is_made_of_a_text_and_burnt_in_captions_are_switched(
    page: "Page", speaking: GatewayStudio, server: SpeechServer, small_home: Path
) -> None:
    home = speaking.settings.home
    shutil.copytree(small_home / "avatars" / "sample", home / "avatars" / "whole", dirs_exist_ok=True)
    page.keyboard.press("w")
    page.get_by_role("button", name="Burnt-in captions on").wait_for()
    assert speaking.state()["scene"]["burn_captions"] is True
    page.keyboard.press("w")
    page.get_by_role("button", name="Burnt-in captions off").wait_for()

    page.keyboard.press("j")
    page.get_by_role("button", name="+ New job").click()
    form = page.get_by_role("form", name="New job")
    form.locator("option[value=whole]").wait_for(state="attached")
    form.get_by_label("Avatar").select_option("whole")
    form.get_by_label("Engine").select_option("mesh")
    form.get_by_label("Driver from").select_option("text spoken by a voice")
    assert form.get_by_label("Driver: video, speech or recorded motion").is_hidden()
    form.get_by_role("button", name="Submit").click()
    assert not server.asked, "a text is required"
    form.get_by_label("Text to speak").fill("Good evening! Welcome to the show.")
    form.get_by_label("Burn captions in").check()
    form.get_by_role("button", name="Submit").click()
    page.get_by_role("group", name=re.compile("Good evening Welcome to the show.txt, queued")).wait_for()
    form.wait_for(state="hidden")
    assert asked(server) == ["Good evening!", "Welcome to the show."]
    store = open_store(speaking.settings.jobs_url)
    (job,) = store.list("jobs")
    manifest = read_job_manifest(store, job)
    assert manifest.captions_file and manifest.output["burn_captions"] is True
    store.remove("jobs")
