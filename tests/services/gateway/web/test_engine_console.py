"""The console of an engine with a ladder: its quality, its delay with the reason for it, and its terms, by role and label."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from engines.catalog import engine_summaries
from tests.support.browser.chromium import needs_chromium
from tests.support.browser.contrast import poor
from tests.support.running.gateway import Studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = needs_chromium
LADDER = (("full", "512 pixels, the full decoder"), ("small", "512 pixels, the small decoder"), ("256", "256 pixels"))
DELAY = {"frames": 4, "calls": 4, "interval_ms": 40.0, "call_ms": 70.0, "floor_ms": 670.0, "ms": 712.0}


@pytest.fixture
def page(browser: "Browser", running: Studio) -> Iterator["Page"]:
    """The console of a studio whose mesh has a ladder and takes four frames at a time, beside the real rows of the others,
    opened by the keyboard; anything the page complains of fails the test."""
    meter = running.channel.meters["generator"]
    before, rows = dict(meter.facts), engine_summaries(running.settings)
    rows["mesh"] |= {"qualities": [{"name": name, "title": title} for name, title in LADDER]}
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
    running.patch(quality="")
    assert complaints == []


def named(name: str) -> dict[str, str]:
    return {"name": name, "title": dict(LADDER)[name]}


def told(running: Studio, **facts: Any) -> None:
    """What the generator says from its next pulse on; None: no more."""
    meter = running.channel.meters["generator"]
    changed = {**meter.facts, **facts}
    meter.facts = {name: value for name, value in changed.items() if value is not None}


def delay_row(page: "Page") -> "Locator":
    return page.get_by_role("group", name="motion to photon, through the engine")


def test_a_quality_is_chosen_by_keyboard_and_what_it_is_at_is_said(page: "Page", running: Studio) -> None:
    choice = page.get_by_role("region", name="Engine").get_by_label("Quality")
    page.get_by_text("now at 512 pixels, the full decoder").wait_for()
    assert choice.evaluate("select => [...select.options].map((option) => option.value)") == [
        "auto",
        "full",
        "small",
        "256",
    ]
    page.keyboard.press("q")
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    running.wait(lambda: running.state()["scene"]["quality"] == "small")
    told(running, quality=named("256"))
    running.channel.meters["generator"].note = "It goes on with 256 pixels: memory ran out."
    page.get_by_text("now at 256 pixels").wait_for()
    page.get_by_role("region", name="Engine").get_by_text("memory ran out").wait_for()
    assert choice.input_value() == "small", "what is wanted stays"
    choice.select_option("auto")
    running.wait(lambda: running.state()["scene"]["quality"] == "")
    told(running, quality=None, engines=engine_summaries(running.settings))
    choice.wait_for(state="hidden")


def test_the_delay_stands_beside_its_floor_and_is_explained(page: "Page", running: Studio) -> None:
    row = delay_row(page)
    row.get_by_text("712 ms", exact=True).wait_for()
    row.get_by_text("floor 670 ms").wait_for()
    row.get_by_role("img", name="motion to photon, through the engine: last minute").wait_for()
    assert not row.get_by_text("4 frames at 25/s").is_visible()
    row.get_by_text("Why not less?").focus()
    page.keyboard.press("Enter")
    row.get_by_text(
        "The model takes four driver frames at a time, and a frame passes its window in four calls."
    ).wait_for()
    row.get_by_text(
        "4 frames at 25/s fill in 120 ms, three more calls wait 160 ms each, the last takes 70 ms"
    ).wait_for()
    row.get_by_text("a driver of more frames a second: it is the driver that is waited for").wait_for()
    told(running, delay={**DELAY, "call_ms": 300.0, "floor_ms": 1320.0, "ms": 1700.0})
    row.get_by_text(
        "4 frames at 25/s fill in 120 ms, three more calls wait 300 ms each, the last takes 300 ms"
    ).wait_for()
    row.get_by_text("a lower quality or a faster card: it is the model that is waited for").wait_for()
    row.get_by_text("380 ms over its floor: more than a whole call").wait_for()
    told(running, delay=None)
    row.wait_for(state="hidden")


def test_a_floor_is_no_slowness(page: "Page", running: Studio) -> None:
    """the channel's frames are as late as the budget without a floor allows, and far earlier than with one."""
    running.channel.late = 300_000
    try:
        told(running, delay=None)
        screen = page.get_by_role("group", name="driver to program")
        screen.get_by_text("slow: over 83 ms").wait_for()
        told(running, delay=dict(DELAY))
        screen.get_by_text("slow").wait_for(state="hidden")
    finally:
        running.channel.late = 0


def test_an_engine_that_falls_behind_offers_the_step_down(page: "Page", running: Studio) -> None:
    drops = running.channel.meters["generator"].drops
    row = page.get_by_role("group", name="generator")

    def says(words: str) -> bool:
        drops["driver frame skipped"] += 5
        page.wait_for_timeout(500)
        return re.search(words, row.inner_text()) is not None

    running.wait(lambda: says(r"generator behind: \d+ driver frames skipped/s, step down\?"))
    assert poor(page) == []
    row.get_by_role("button", name="Step down to 512 pixels, the small decoder").click()
    running.wait(lambda: running.state()["scene"]["quality"] == "small")
    told(running, quality=named("256"))
    running.wait(lambda: says("this is its lowest quality"))
    assert not row.get_by_role("button", name="Step down").is_visible()


def test_terms_stand_where_an_engine_is_picked(page: "Page", running: Studio) -> None:
    facts = {"PersonaLive": ("Code Apache-2.0", "academic research only"), "LivePortrait": ("Code and weights MIT",)}
    for title, words in facts.items():
        engine = page.get_by_role("button", name=title)
        assert all(word in engine.inner_text() for word in words), engine.inner_text()
        assert engine.is_disabled() and re.search("make setup-torch|weights pull", engine.inner_text())
    rows = running.channel.meters["generator"].facts["engines"]
    told(
        running,
        engines={name: row | {"unavailable": ""} if name == "personalive" else row for name, row in rows.items()},
    )
    page.keyboard.press("j")
    page.get_by_role("button", name="+ New job").click()
    form = page.get_by_role("form", name="New job")
    form.get_by_label("Engine").select_option(label="PersonaLive")
    form.get_by_text(re.compile("Code Apache-2.0; .* academic research only")).wait_for()
    form.get_by_label("Quality").select_option(label=rows["personalive"]["qualities"][-1]["title"])
    form.get_by_label("Engine").select_option(label="Mesh warp")
    form.get_by_label("Quality").select_option(label="256 pixels")
    form.get_by_text("Why some cannot be had").click()
    form.get_by_text(re.compile("LivePortrait.*(make setup-torch|weights pull)")).wait_for()
    assert poor(page) == []
