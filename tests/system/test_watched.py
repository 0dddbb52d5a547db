"""Everything at once: a speech file is dropped into the console, and a viewer's tab shows the host speaking it."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from harness.channel import Studio, studio, wait_for
from harness.far_end import mouth_box, vowel
from services.local.livekit_server import find_server
from shared.runtime.clock import SOUND_RATE_HZ
from tests.support.browser.chromium import drop_file, needs_chromium
from tests.support.browser.sync import in_sync
from tests.support.files.sound_files import wav
from tests.support.running.channel_looks import ENDS_S

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(find_server() is None, reason="no LiveKit server: deploy/livekit.sh builds one"),
]

SYLLABLES = 8
# Notes the mouth's brightness with every frame and the loudness every 10 ms, in milliseconds of the page's clock.
WATCH = """([x, y, w, h]) => {
    const video = document.querySelector("video");
    const canvas = new OffscreenCanvas(w, h), draw = canvas.getContext("2d", { willReadFrequently: true });
    const seen = [], heard = [];
    window.noted = { seen, heard };
    const look = (at) => {
        draw.drawImage(video, x, y, w, h, 0, 0, w, h);
        const bytes = draw.getImageData(0, 0, w, h).data;
        let sum = 0;
        for (let i = 1; i < bytes.length; i += 4) sum += bytes[i];
        seen.push([at, sum / (w * h)]);
        video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
    const context = new AudioContext(), ear = context.createAnalyser();
    ear.fftSize = 512;
    context.createMediaStreamSource(video.srcObject).connect(ear);
    const samples = new Float32Array(512);
    setInterval(() => {
        ear.getFloatTimeDomainData(samples);
        heard.push([performance.now(), Math.hypot(...samples) / Math.sqrt(512)]);
    }, 10);
}"""


@pytest.fixture
def channel(live_home: Path, run_root: Path) -> Iterator[Studio]:
    with studio(live_home, run_root, "--port", "0", "--driver", "speech", "--livekit") as started:
        yield started.on_air()
        started.end()


def speech() -> bytes:
    """Return a WAV of syllables of uneven length with pauses between them."""
    chance = np.random.default_rng(2)
    parts = []
    for _ in range(SYLLABLES):
        parts += [
            vowel(float(chance.uniform(0.25, 0.45))),
            np.zeros(int(chance.uniform(0.4, 0.7) * SOUND_RATE_HZ), np.int16),
        ]
    return wav(np.concatenate(parts))


def test_a_dropped_file_is_spoken_in_a_viewers_tab(channel: Studio, browser: "Browser") -> None:
    wait_for(lambda: channel.state()["outputs"]["livekit"]["state"] == "live", what="published")
    console, viewer = browser.new_page(), browser.new_page()
    for page in (console, viewer):
        page.set_default_timeout(ENDS_S * 1000)
    console.goto(f"{channel.base}/#token={channel.token}")
    console.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    viewer.goto(f"{channel.base}{made_link(channel)}")
    viewer.get_by_text("Live", exact=True).wait_for()
    full = "() => document.querySelector('video').videoHeight"
    wait_for(lambda: viewer.evaluate(full) == height(channel), what="the full frame")
    viewer.evaluate(WATCH, list(mouth_box(channel)))

    late: list[float] = []

    def look() -> list[float]:
        viewer.evaluate("() => window.noted.seen.length = window.noted.heard.length = 0")
        viewer.wait_for_timeout(1500)
        before = said(channel)
        drop_file(console, speech(), "speech.wav")
        wait_for(lambda: said(channel) > before, what="said to the end")
        viewer.wait_for_timeout(1000)
        late.extend(offsets(viewer.evaluate("() => window.noted")))  # a busy machine shows only some of the syllables
        return late

    # The mouth begins to open with the vowel, and is half open one or two frames later.
    assert in_sync(look, early=-100)


def made_link(channel: Studio) -> str:
    address = f"{channel.base}/api/v1/channels/main/viewers"
    answer = httpx.post(address, headers={"Authorization": f"Bearer {channel.token}"}, trust_env=False, timeout=ENDS_S)
    return str(answer.raise_for_status().json()["watch"])


def height(channel: Studio) -> int:
    return int(channel.state()["program"]["height"])


def said(channel: Studio) -> int:
    """Return how many utterances have been spoken to their end."""
    return sum(row["state"] == "ended" for row in channel.state().get("speech", {}).get("recent", []))


def offsets(noted: dict[str, Any]) -> list[float]:
    """Return, for each syllable, the milliseconds from the frame with a half-open mouth to the start of its sound."""
    seen, heard = np.array(noted["seen"]), np.array(noted["heard"])
    loud = heard[:, 1] > 0.25 * heard[:, 1].max()
    onsets = [heard[i + 1, 0] for i, (a, b) in enumerate(pairwise(loud)) if b and not a]
    onsets = [at for before, at in pairwise([-1e9, *onsets]) if at - before > 300]
    closed, opened = np.percentile(seen[:, 1], [90, 5])
    if closed - opened <= 4:
        return []  # no frame with an open mouth was received
    is_open = seen[:, 1] < (closed + opened) / 2
    openings = np.array([seen[i + 1, 0] for i, (a, b) in enumerate(pairwise(is_open)) if b and not a])
    late = []
    for onset in onsets:
        near = openings[np.abs(openings - onset) < 350]
        late += [float(min(onset - near, key=abs))] if len(near) else []
    return late
