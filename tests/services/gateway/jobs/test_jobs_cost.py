"""What a job would cost: over HTTP, and in the console's form before it is submitted.

Asking for the cost submits nothing.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from engines.catalog import engine_summaries
from services.renderer.job.cost import write_silence
from shared.jobs.store import open_store
from shared.media.reader import read_sound
from tests.support.browser.chromium import needs_chromium, until
from tests.support.engines.clip_engine import ENGINES
from tests.support.files.sound_files import tone, wav
from tests.support.running.gateway import GatewayStudio, studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LINES = [
    "50 frames, 4 units",
    "time: about 10 s on one device (50.0 frames at 5.0 a second, measured here)",
    "device memory: about 2.0 GB",
    "disk space while it runs: 0.05 GB",
]


@pytest.fixture(scope="module")
def priced(small_home: Path) -> Iterator[GatewayStudio]:
    """A studio with a clip engine that estimates what a job costs."""
    with tempfile.TemporaryDirectory() as folder, studio(Path(folder), engines=ENGINES) as made:
        shutil.copytree(small_home / "avatars" / "sample", made.settings.home / "avatars" / "whole")
        (made.settings.home / "inbox").mkdir()
        (made.settings.home / "inbox" / "talk.wav").write_bytes(wav(tone(2, rate=16_000), 16_000))
        yield made


def cost(priced: GatewayStudio, **fields: str) -> httpx.Response:
    wanted = {"avatar": "whole", "engine": "clip"} | fields
    return priced.http.post("/jobs/cost", files={name: (None, each) for name, each in wanted.items()})


def test_the_answer_is_what_a_job_would_cost_and_nothing_is_submitted(priced: GatewayStudio) -> None:
    wanted = {"frames": 50, "units": 4, "seconds": 10.0, "memory": 2_000_000_000, "disk": 50_000_000, "lines": LINES}
    for fields in ({"seconds": "2"}, {"inbox": "talk.wav"}):
        answer = cost(priced, **fields)
        assert answer.status_code == 200 and answer.json() == wanted, answer.text
    faster = cost(priced, seconds="2", fps="50").json()
    assert (faster["frames"], faster["seconds"]) == (100, 20.0)
    assert open_store(priced.settings.jobs_url).list("jobs") == []


@pytest.mark.parametrize(
    ("fields", "status_code", "words"),
    [
        ({"seconds": "nan"}, 422, "'seconds' must be a number up to 86400"),
        ({"seconds": "90000"}, 422, "'seconds' must be a number up to 86400"),
        ({"inbox": "../token"}, 422, "in the inbox"),
        ({}, 422, "the name of a file in the inbox"),
        ({"seconds": "2", "avatar": "none"}, 404, "no such avatar"),
        ({"seconds": "2", "codec": "vp9"}, 422, "Grey clip makes whole frames, from which the host cannot be cut out"),
    ],
)
def test_what_cannot_be_done_is_refused_by_the_same_sentence(
    priced: GatewayStudio, fields: dict[str, str], status_code: int, words: str
) -> None:
    answer = cost(priced, **fields)
    assert answer.status_code == status_code and words in answer.json()["detail"], answer.text


def test_silence_of_hours_takes_no_room_and_is_as_long(tmp_path: Path) -> None:
    write_silence(tmp_path / "short.wav", 2.5)
    assert sum(len(block) for _, block in read_sound(tmp_path / "short.wav")) == pytest.approx(2.5 * 48_000, abs=2)
    write_silence(tmp_path / "long.wav", 6 * 3600)
    seen = (tmp_path / "long.wav").stat()
    assert seen.st_size > 300e6 and seen.st_blocks * 512 < 1e6


@needs_chromium
def test_the_form_shows_it_before_the_job_is_submitted(browser: "Browser", priced: GatewayStudio) -> None:
    priced.channel.meters["generator"].facts = {"engines": engine_summaries(priced.settings)}
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"http://{priced.address}/#token={priced.token}")
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    page.keyboard.press("j")
    page.get_by_role("button", name="+ New job").click()
    form = page.get_by_role("form", name="New job")
    form.locator("select[name=avatar]").select_option("whole")
    form.locator("select[name=engine]").select_option("clip")
    form.get_by_label("Driver: video, speech or recorded motion").set_input_files(
        {"name": "talk.wav", "mimeType": "audio/wav", "buffer": wav(tone(2, rate=16_000), 16_000)}
    )
    shown = form.get_by_role("status", name="cost")
    shown.get_by_text(re.compile("about 10 s on one device")).wait_for()
    assert shown.inner_text().splitlines() == LINES
    form.locator("summary", has_text="More").click()
    form.locator("select[name=codec]").select_option("vp9")
    shown.get_by_text("the host cannot be cut out").wait_for()
    form.locator("select[name=engine]").select_option("mesh")
    until(page, "document.querySelector('.cost').textContent === ''")  # no cost is requested for a frame engine
    assert open_store(priced.settings.jobs_url).list("jobs") == []
    context.close()
    assert complaints == []
