"""The console of an engine with options: the form, the engine's delay and its reason, the licence terms.

Elements are found by role and label.
"""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from engines.catalog import engine_summaries
from engines.options import options_schema
from tests.support.browser.chromium import needs_chromium
from tests.support.browser.contrast import poor
from tests.support.engines.option_material import EveryOptions
from tests.support.jobs.beating_worker import beating_worker
from tests.support.running.gateway import GatewayStudio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Route

pytestmark = needs_chromium
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
LADDER = {"full": "512 pixels", "small": "256 pixels"}
DELAY = {"frames": 4, "calls": 4, "interval_ms": 40.0, "call_ms": 70.0, "floor_ms": 670.0, "ms": 712.0}


@pytest.fixture
def page(browser: "Browser", running: GatewayStudio) -> Iterator["Page"]:
    """The console of a studio whose mesh has a quality ladder and takes four frames at a time.

    The other engines have their real rows. A page error fails the test.
    """
    meter = running.channel.meters["generator"]
    before, rows = dict(meter.facts), engine_summaries(running.settings)
    rows["mesh"] |= {"options": options_schema(EveryOptions())}
    meter.facts = {"engines": rows, "quality": named("full"), "delay": dict(DELAY)}
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"http://{running.address}/#token={running.token}")
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    yield page
    context.close()
    meter.facts, meter.note = before, ""
    meter.drops.clear()
    running.patch(options=dict.fromkeys(EveryOptions.model_fields))
    assert complaints == []


def named(name: str) -> dict[str, str]:
    return {"name": name, "title": LADDER[name]}


def told(running: GatewayStudio, **facts: Any) -> None:
    """Change facts in the generator's pulses from the next one on; None removes a fact."""
    meter = running.channel.meters["generator"]
    changed = {**meter.facts, **facts}
    meter.facts = {name: value for name, value in changed.items() if value is not None}


def wanted(running: GatewayStudio) -> dict[str, Any]:
    """Return the options of the scene."""
    return dict(running.state()["scene"]["options"])


def delay_row(page: "Page") -> "Locator":
    return page.get_by_role("group", name="motion to photon, through the engine")


def test_a_quality_is_chosen_by_keyboard_and_the_current_one_is_shown(page: "Page", running: GatewayStudio) -> None:
    choice = page.get_by_role("region", name="Engine").get_by_label("Quality")
    page.get_by_text("Current quality: 512 pixels").wait_for()
    assert choice.evaluate("select => [...select.options].map((option) => option.text)") == [
        "automatic (default)", "512 pixels", "256 pixels",
    ]  # fmt: skip
    page.keyboard.press("q")
    page.keyboard.press("ArrowDown")
    running.wait(lambda: wanted(running) == {"quality": "full"})
    told(running, quality=named("small"))
    running.channel.meters["generator"].note = "It goes on with 256 pixels: memory ran out."
    page.get_by_text("Current quality: 256 pixels").wait_for()
    page.get_by_role("region", name="Engine").get_by_text("memory ran out").wait_for()
    assert choice.input_value() == "full", "what is wanted stays"
    choice.select_option("auto")
    running.wait(lambda: wanted(running) == {})
    told(running, quality=None, engines=engine_summaries(running.settings))
    choice.wait_for(state="hidden")
    page.keyboard.press("q")  # the key has no effect


def test_options_are_a_form_made_from_their_schema(page: "Page", running: GatewayStudio) -> None:
    form = page.get_by_role("group", name="Engine options")
    form.get_by_text("More options").click()
    assert form.get_by_label("Close lips").is_checked()
    for label, description in {
        "Quality": "from the best frame to the fastest",
        "Close lips": "close an open mouth before moving it; default on",
        "Multiplier": "of the whole movement; default 1",
        "Seed": "of the noise; default 42",
        "Prompt": "what the scene looks like, in small letters; default empty",
    }.items():
        field = form.get_by_label(label)
        assert description in field.evaluate(
            "field => document.getElementById(field.getAttribute('aria-describedby').split(' ')[0]).textContent"
        )
    form.get_by_label("Close lips").uncheck()
    form.get_by_label("Multiplier").fill("0.5")
    form.get_by_label("Seed").fill("7")
    form.get_by_label("Prompt").fill("blue sky")
    form.get_by_label("Prompt").press("Enter")
    running.wait(lambda: wanted(running) == {"close_lips": False, "multiplier": 0.5, "seed": 7, "prompt": "blue sky"})
    form.get_by_text("More options, 4 changed").wait_for()
    running.patch(options={"seed": 8})
    expect(form.get_by_label("Seed")).to_have_value("8")
    form.get_by_label("Seed").fill("42")
    form.get_by_label("Seed").blur()
    running.wait(lambda: "seed" not in wanted(running))
    assert poor(page) == []
    form.get_by_role("button", name="Reset to defaults").click()
    running.wait(lambda: wanted(running) == {})
    expect(form.get_by_label("Multiplier")).to_have_value("1")
    form.get_by_text("More options", exact=True).wait_for()


def test_a_wrong_value_says_why_beside_its_field_and_goes_nowhere(page: "Page", running: GatewayStudio) -> None:
    form = page.get_by_role("group", name="Engine options")
    form.get_by_text("More options").click()
    wrong = {
        "Multiplier": ("3.5", "At most 3."), "Seed": ("1000", "Less than 1000."),
        "Prompt": ("a" * 21, "At most 20 characters; you have entered 21."),
    }  # fmt: skip
    for label, (value, why) in wrong.items():
        form.get_by_label(label).fill(value)
        form.get_by_label(label).blur()
        form.get_by_role("alert").get_by_text(why).wait_for()
        page.wait_for_timeout(600)  # time for two state messages
        expect(form.get_by_label(label)).to_have_value(value)
        expect(form.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    assert wanted(running) == {} and poor(page) == []
    form.get_by_label("Prompt").fill("Blue")
    form.get_by_role("alert").get_by_text("Must match").wait_for()
    form.get_by_label("Multiplier").fill("3")
    form.get_by_label("Multiplier").blur()
    form.get_by_text("At most 3.").wait_for(state="hidden")
    running.wait(lambda: wanted(running) == {"multiplier": 3})


def test_a_refusal_of_the_studio_stands_beside_the_field(page: "Page", running: GatewayStudio) -> None:
    form = page.get_by_role("group", name="Engine options")
    form.get_by_text("More options").click()
    page.route("**/scene", lambda route: route.fulfill(status=422, json={"detail": "The studio is full."}))
    form.get_by_label("Seed").fill("7")
    form.get_by_label("Seed").blur()
    form.get_by_role("alert").get_by_text("The studio is full.").wait_for()
    expect(form.get_by_label("Seed")).to_have_value("42")
    form.get_by_role("button", name="Reset to defaults").wait_for(state="hidden")


def test_a_job_takes_the_options_that_are_not_the_default(page: "Page", running: GatewayStudio) -> None:
    asked: list[str] = []

    def take(route: "Route") -> None:
        asked.append(route.request.post_data or "")
        route.fulfill(status=422, json={"detail": "Enough."})

    page.route("**/api/v1/jobs", take)
    page.keyboard.press("j")
    page.get_by_role("button", name="+ New job").click()
    form = page.get_by_role("form", name="New job")
    form.get_by_label("Driver: video").set_input_files({"name": "a.wav", "mimeType": "audio/wav", "buffer": b"RIFF"})
    form.get_by_label("Quality").select_option(label="256 pixels")
    form.get_by_text("More options").click()
    form.get_by_label("Seed").fill("1000")
    form.get_by_text("More options").click()
    form.get_by_role("button", name="Submit").click()
    form.get_by_role("alert").get_by_text("Less than 1000.").wait_for()
    assert asked == [], "it is unfolded and says why, and nothing is sent"
    form.get_by_label("Seed").fill("999")
    form.get_by_label("Close lips").uncheck()
    form.get_by_role("button", name="Submit").click()
    page.get_by_text("Enough.").wait_for()
    said = re.search(r'name="options"\s+(\{.*\})', asked[0])
    assert said and json.loads(said[1]) == {"quality": "small", "close_lips": False, "seed": 999}
    assert wanted(running) == {}


def test_the_delay_stands_beside_its_floor_and_is_explained(page: "Page", running: GatewayStudio) -> None:
    row = delay_row(page)
    row.get_by_text("712 ms", exact=True).wait_for()
    row.get_by_text("floor 670 ms").wait_for()
    row.get_by_role("img", name="motion to photon, through the engine: last minute").wait_for()
    assert not row.get_by_text("4 frames at 25 fps").is_visible()
    row.get_by_text("What limits this?").focus()
    page.keyboard.press("Enter")
    row.get_by_text(
        "The model takes four driver frames per call, and a frame leaves its window after four calls."
    ).wait_for()
    row.get_by_text(
        "Collecting 4 frames at 25 fps takes 120 ms, three more calls add 160 ms each, and the last call takes 70 ms"
    ).wait_for()
    row.get_by_text("a driver with a higher frame rate: the model waits for the driver").wait_for()
    told(running, delay={**DELAY, "call_ms": 300.0, "floor_ms": 1320.0, "ms": 1700.0})
    row.get_by_text(
        "Collecting 4 frames at 25 fps takes 120 ms, three more calls add 300 ms each, and the last call takes 300 ms"
    ).wait_for()
    row.get_by_text("a lower quality or a faster GPU: the driver waits for the model").wait_for()
    row.get_by_text("380 ms above the floor: more than one full call").wait_for()
    told(running, delay=None)
    row.wait_for(state="hidden")


def test_a_floor_is_no_slowness(page: "Page", running: GatewayStudio) -> None:
    """Frames that are 300 ms late are slow while the engine states no delay, but not once it states a larger floor."""
    running.channel.late = 300_000
    try:
        told(running, delay=None)
        screen = page.get_by_role("group", name="driver to program")
        screen.get_by_text("slow: over 83 ms").wait_for()
        told(running, delay=dict(DELAY))
        screen.get_by_text("slow").wait_for(state="hidden")
    finally:
        running.channel.late = 0


def test_an_engine_that_falls_behind_offers_the_step_down(page: "Page", running: GatewayStudio) -> None:
    drops = running.channel.meters["generator"].drops
    row = page.get_by_role("group", name="generator")

    def says(words: str) -> bool:
        drops["driver frame skipped"] += 5
        page.wait_for_timeout(500)
        return re.search(words, row.inner_text()) is not None

    running.wait(lambda: says(r"generator is behind: it skips \d+ driver frames per second\. Step down\?"))
    assert poor(page) == []
    row.get_by_role("button", name="Step down to 256 pixels").click()
    running.wait(lambda: wanted(running) == {"quality": "small"})
    told(running, quality=named("small"))
    running.wait(lambda: says("This is its lowest quality"))
    assert not row.get_by_role("button", name="Step down").is_visible()


def test_file_choosers_hide_no_file_that_may_be_a_driver(page: "Page", running: GatewayStudio) -> None:
    for chooser in ("#driver-upload", "#speak-file", "input[name=driver][type=file]"):
        found = page.locator(chooser).first
        found.wait_for(state="attached")
        assert found.get_attribute("accept") is None, chooser


def test_terms_stand_where_an_engine_is_picked(page: "Page", running: GatewayStudio) -> None:
    facts = {"PersonaLive": ("Code Apache-2.0", "academic research only"), "LivePortrait": ("Code and weights MIT",)}
    rows = running.channel.meters["generator"].facts["engines"]
    page.get_by_text(f"Unavailable engines ({sum(bool(row['unavailable']) for row in rows.values())})").click()
    for title, words in facts.items():
        line = page.get_by_role("list", name="Unavailable engines").get_by_role("listitem").filter(has_text=title)
        text = line.first.inner_text()
        assert all(word in text for word in words) and re.search("make setup-torch|weights pull", text), text
    told(
        running,
        engines={name: row | {"unavailable": ""} if name == "personalive" else row for name, row in rows.items()},
    )
    page.keyboard.press("j")
    page.get_by_role("button", name="+ New job").click()
    form = page.get_by_role("form", name="New job")
    form.get_by_label("Engine").select_option(label="PersonaLive")
    form.get_by_text(re.compile("Code Apache-2.0; .* academic research only")).wait_for()
    form.get_by_label("Quality").select_option(
        label=rows["personalive"]["options"]["properties"]["quality"]["titles"]["half"]
    )
    form.get_by_label("Engine").select_option(label="Mesh warp")
    form.get_by_label("Quality").select_option(label="256 pixels")
    form.get_by_text("Unavailable engines").click()
    form.get_by_text(re.compile("LivePortrait.*(make setup-torch|weights pull)")).wait_for()
    assert poor(page) == []


def test_a_job_is_offered_the_engines_of_the_workers(page: "Page", running: GatewayStudio) -> None:
    """A clip engine that cannot run on this machine is offered offline once a worker can run it."""
    rows = running.channel.meters["generator"].facts["engines"]
    clip = rows["personalive"] | {"modes": ["offline"], "unavailable": "PersonaLive needs a GPU."}
    told(running, engines=rows | {"personalive": clip})
    page.keyboard.press("j")
    page.get_by_role("button", name="+ New job").click()
    form = page.get_by_role("form", name="New job")
    choice = form.get_by_label("Engine")
    expect(choice.locator("option[value=personalive]")).to_be_disabled()
    with beating_worker(running.settings, "mesh", "personalive"):
        expect(choice.locator("option[value=personalive]")).to_be_enabled()
        choice.select_option(label="PersonaLive")
        form.get_by_text(re.compile("^Renders whole clips, offline only. Code Apache-2.0")).wait_for()
        page.get_by_text("1 worker, 0 busy").wait_for()
