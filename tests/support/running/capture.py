"""A capture service in this thread, with the sockets of a gateway and of a listener."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import zmq

from harness.channel import wait_for
from services.capture.service import Capture
from shared.config.settings import Settings
from shared.runtime.clock import SOUND_RATE_HZ, now
from shared.scene import Scene
from shared.wire.bus import Publisher, Reader, endpoint
from shared.wire.message import Message


class CaptureChannel:
    """The service and its sockets. heard, seen: messages received on "voice" and on "driving"."""

    def __init__(self, run_root: Path, home: Path) -> None:
        settings = Settings(run_root=run_root, home=home)
        settings.run_dir.mkdir(parents=True)
        self.context: zmq.Context = zmq.Context()  # type: ignore[type-arg]
        self.scene, self.remote = (
            Publisher(self.context, endpoint(settings.run_dir, name), name, "main") for name in ("scene", "remote")
        )
        self.capture = Capture(settings)
        self.voice, self.driving = (
            Reader(self.context, endpoint(settings.run_dir, name), name, "main", newest=False)
            for name in ("voice", "driving")
        )
        self.heard: list[Message] = []
        self.seen: list[Message] = []

    def turn(self, until: Callable[[], bool]) -> None:
        def turned() -> bool:
            if until():
                return True
            self.capture.loop.turn()
            self.heard += self.voice.read()
            self.seen += self.driving.read()
            return False

        wait_for(turned, every=0)

    def choose(self, scene: Scene) -> None:
        """Turn the service until it has this scene."""

        def chosen() -> bool:
            self.scene.send(now(), facts=scene.as_dict())
            return self.capture.loop.scene == scene

        self.turn(chosen)

    def say(self, pts: int, count: int = 960) -> None:
        self.remote.send(pts, np.full(count, 500, np.int16), "s16", facts={"kind": "sound", "rate": SOUND_RATE_HZ})

    def close(self) -> None:
        self.capture.loop.stop()
        self.capture.loop.run(signals=False)  # closes what it opened
        for each in (self.scene, self.remote, self.voice, self.driving):
            each.close()
        self.context.term()
