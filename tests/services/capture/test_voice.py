"""Voices through the capture service: from a file and from the gateway, with their facts and epochs."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from services.capture.service import Capture
from shared.config.settings import Settings
from shared.media.reader import SOUND_RATE_HZ
from shared.runtime.clock import US, now
from shared.scene import Scene
from shared.wire.bus import Publisher, Reader, endpoint
from shared.wire.message import Message
from tests.support.files.sound_files import wav


class Channel:
    """A capture service in this thread, with a gateway's sockets and a listener's."""

    def __init__(self, run_root: Path, home: Path) -> None:
        settings = Settings(run_root=run_root, home=home)
        settings.run_dir.mkdir(parents=True)
        self.context: zmq.Context = zmq.Context()  # type: ignore[type-arg]
        self.scene, self.remote = (
            Publisher(self.context, endpoint(settings.run_dir, name), name, "main") for name in ("scene", "remote")
        )
        self.capture = Capture(settings)
        self.voice = Reader(self.context, endpoint(settings.run_dir, "voice"), "voice", "main", newest=False)
        self.heard: list[Message] = []

    def turn(self, until: Callable[[], bool], seconds: float = 10.0) -> None:
        ends = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < ends, "it did not happen"
            self.capture.loop.turn()
            self.heard += self.voice.read()

    def choose(self, driver: str) -> None:
        def chosen() -> bool:
            self.scene.send(now(), facts=Scene(driver=driver, loop=False).as_dict())
            return self.capture.loop.scene is not None and self.capture.loop.scene.driver == driver

        self.turn(chosen)

    def say(self, pts: int, count: int = 960) -> None:
        self.remote.send(pts, np.full(count, 500, np.int16), "s16", facts={"kind": "sound", "rate": SOUND_RATE_HZ})


@pytest.fixture
def channel(run_root: Path, tmp_path: Path) -> Iterator[Channel]:
    made = Channel(run_root, tmp_path)
    yield made
    made.capture.loop.stop()
    made.capture.loop.run(signals=False)  # closes what it opened
    for each in (made.scene, made.remote, made.voice):
        each.close()
    made.context.term()


def test_a_voice_file_is_sent_just_ahead_of_its_time_and_says_that_it_drives(channel: Channel, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(wav((5000 * np.sin(np.arange(24_000 * 3) / 9)).astype(np.int16), 24_000))
    channel.choose(f"file:{path}")
    leads: list[int] = []

    def all_of_it() -> bool:
        leads.extend(m.pts - now() for m in channel.heard[len(leads) :])
        return sum(len(m.array) for m in channel.heard) >= 2.95 * SOUND_RATE_HZ

    channel.turn(all_of_it)
    assert all(m.fact("drives", bool) for m in channel.heard)
    assert len({m.epoch for m in channel.heard}) == 1
    assert max(leads) < 1.2 * US, "the whole file is sent at once"
    assert channel.capture.loop.meter.state == "running"


def test_an_interrupt_of_the_speech_queue_is_a_new_epoch_at_once(channel: Channel) -> None:
    channel.choose("speech")
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


def test_the_sound_of_a_camera_does_not_drive(channel: Channel) -> None:
    channel.choose("browser")

    def heard() -> bool:
        channel.say(now())
        return len(channel.heard) >= 3

    channel.turn(heard)
    assert not any(m.fact("drives", bool) for m in channel.heard)


def test_another_change_of_the_scene_leaves_a_camera_open_however_its_number_is_written(channel: Channel) -> None:
    channel.choose("camera:099")
    reader = channel.capture._driver

    def changed() -> bool:
        channel.scene.send(now(), facts=Scene(driver="camera:099", loop=False, label=False).as_dict())
        return channel.capture.loop.scene is not None and not channel.capture.loop.scene.label

    channel.turn(changed)
    assert reader is not None and channel.capture._driver is reader
