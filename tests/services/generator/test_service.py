"""The generator service with a voice: its faces while it waits, and its note about an engine that hears nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.mesh.engine import MeshEngine
from harness.seeing import ENGINES
from shared.avatar.model import load_avatar
from shared.config.settings import Settings
from shared.runtime.clock import SOUND_RATE_HZ, US, now, tick_pts
from shared.scene import Scene
from shared.wire.message import NOTHING
from tests.support.files.voice_material import babble, sound_of
from tests.support.running.generator import GeneratorChannel


@pytest.fixture
def channel(live_home: Path, run_root: Path) -> Iterator[GeneratorChannel]:
    made = GeneratorChannel(Settings(run_root=run_root, home=live_home))
    yield made
    made.close()


def test_a_host_that_waits_for_speech_already_knows_how_late_it_will_be(channel: GeneratorChannel) -> None:
    channel.turn(lambda: len(channel.faces) >= 10)
    assert {m.facts["state"] for m in channel.faces} == {"idle"}
    late = {m.pts - m.facts["captured"] for m in channel.faces}
    assert late == {tick_pts(3, Settings().rate)}, "three ticks at 25 frames a second"
    sound, spoken = sound_of([babble(12)]), 0
    channel.voice.epoch = now()

    def heard() -> bool:
        nonlocal spoken
        if now() > spoken:  # say it again where a busy machine has missed all of it
            channel.voice.send(now() - 200_000, sound, "s16", facts={"drives": True})
            spoken = now() + len(sound) * US // SOUND_RATE_HZ
        return any(m.facts["state"] == "live" for m in channel.faces)

    channel.faces.clear()
    channel.turn(heard)
    assert {m.pts - m.facts["captured"] for m in channel.faces} == late
    assert {m.facts["driven"] for m in channel.faces} == {"voice"}
    channel.voice.epoch = now()
    channel.voice.send(now(), np.zeros(48, np.int16), "s16", facts={"drives": True})
    channel.turn(lambda: channel.faces[-1].facts["state"] == "idle")


def test_an_engine_that_no_voice_drives_says_so_and_idles(
    live_home: Path, run_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MeshEngine, "info", replace(MeshEngine.info, inputs=frozenset({"motion"})))
    channel = GeneratorChannel(Settings(run_root=run_root, home=live_home))
    try:
        channel.turn(lambda: len(channel.faces) >= 5)
        assert {(m.facts["state"], m.facts["driven"]) for m in channel.faces} == {("idle", "motion")}
        assert channel.generator.loop.meter.note.startswith("Mesh warp is moved by a face on video, not by a voice;")
    finally:
        channel.close()


def test_an_engine_that_needs_the_image_says_so_and_is_given_no_frame_without_it(
    live_home: Path, run_root: Path
) -> None:
    face = load_avatar(live_home / "avatars" / "sample").face.pack()
    channel = GeneratorChannel(Settings(run_root=run_root, home=live_home, engines=ENGINES))
    meter = channel.generator.loop.meter

    def drive(*, whole: bool) -> str:
        """Send one frame of the driver; return the state of the newest face."""
        array, form = (np.zeros((360, 480, 3), np.uint8), "rgb24") if whole else (NOTHING, "bytes")
        channel.driving.send(now(), array, form, facts={"present": True, "face": face, "neutral": face})
        return str(channel.faces[-1].facts["state"]) if channel.faces else ""

    try:
        channel.wanted = Scene(driver="browser")
        channel.turn(lambda: drive(whole=False) == "live")
        assert meter.facts["needs_image"] is False and meter.facts["engines"]["mesh"]["needs_image"] is False
        channel.wanted = Scene(driver="browser", engine="seeing")
        channel.turn(lambda: meter.facts["needs_image"] is True)
        assert meter.facts["engines"]["seeing"]["needs_image"] is True
        channel.turn(lambda: drive(whole=False) == "idle" and meter.drops["without image"] >= 3)
        channel.faces.clear()
        channel.turn(lambda: drive(whole=False) != "" and len(channel.faces) >= 3)
        assert {m.facts["state"] for m in channel.faces} == {"idle"}
        channel.turn(lambda: drive(whole=True) == "live")
    finally:
        channel.close()
