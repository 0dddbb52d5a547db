"""Voices that capture sends, from a file and from the gateway, with their facts and epochs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from shared.runtime.clock import SOUND_RATE_HZ, US, now
from shared.scene import Scene
from tests.support.files.sound_files import wav
from tests.support.running.capture import CaptureChannel


@pytest.fixture
def channel(run_root: Path, tmp_path: Path) -> Iterator[CaptureChannel]:
    made = CaptureChannel(run_root, tmp_path)
    yield made
    made.close()


def test_a_voice_file_is_sent_just_ahead_of_its_time_and_says_that_it_drives(
    channel: CaptureChannel, tmp_path: Path
) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(wav((5000 * np.sin(np.arange(24_000 * 3) / 9)).astype(np.int16), 24_000))
    channel.choose(Scene(driver=f"file:{path}", loop=False))
    leads: list[int] = []
    states = set[str]()

    def all_of_it() -> bool:
        states.add(channel.capture.loop.meter.state)
        leads.extend(m.pts - now() for m in channel.heard[len(leads) :])
        return sum(len(m.array) for m in channel.heard) >= 2.95 * SOUND_RATE_HZ

    channel.turn(all_of_it)
    assert all(m.fact("drives", bool) for m in channel.heard)
    assert len({m.epoch for m in channel.heard}) == 1
    assert max(leads) < 1.2 * US, "the whole file is sent at once"
    assert "running" in states


def test_an_interrupt_of_the_speech_queue_is_a_new_epoch_at_once(channel: CaptureChannel) -> None:
    channel.choose(Scene(driver="speech", loop=False))
    said = now()

    def heard() -> bool:
        channel.say(said)
        return len(channel.heard) >= 3

    channel.turn(heard)
    first = channel.heard[-1].epoch
    assert {(m.epoch, m.facts["drives"]) for m in channel.heard} == {(first, True)}
    assert channel.heard[-1].pts == said and len(channel.heard[-1].array) == 960
    channel.remote.epoch = now()
    channel.remote.send(now(), facts={"kind": "end"})
    channel.turn(lambda: channel.heard[-1].epoch != first)
    assert not channel.heard[-1].array.any() and 0 < len(channel.heard[-1].array) <= 480


def test_the_sound_of_a_camera_does_not_drive(channel: CaptureChannel) -> None:
    channel.choose(Scene(driver="browser", loop=False))

    def heard() -> bool:
        channel.say(now())
        return len(channel.heard) >= 3

    channel.turn(heard)
    assert not any(m.fact("drives", bool) for m in channel.heard)


def test_another_change_of_the_scene_leaves_a_camera_open_however_its_number_is_written(
    channel: CaptureChannel,
) -> None:
    channel.choose(Scene(driver="camera:099", loop=False))
    reader = channel.capture._driver

    channel.choose(Scene(driver="camera:099", loop=False, label=False))
    assert reader is not None and channel.capture._driver is reader
