"""A generator in this thread, with the sockets of its neighbours."""

from collections.abc import Callable

import zmq

from harness.channel import wait_for
from services.generator.service import Generator
from shared.config.settings import Settings
from shared.runtime.clock import now
from shared.scene import Scene
from shared.wire.bus import Publisher, Reader, endpoint
from shared.wire.message import Message


class GeneratorChannel:
    """A generator in this thread, with the sockets of its neighbours. faces: messages received on "face"."""

    def __init__(self, settings: Settings) -> None:
        settings.run_dir.mkdir(parents=True)
        self.context: zmq.Context = zmq.Context()  # type: ignore[type-arg]
        self.scene, self.voice, self.driving = (
            Publisher(self.context, endpoint(settings.run_dir, name), name, "main")
            for name in ("scene", "voice", "driving")
        )
        self.generator = Generator(settings)
        self.face = Reader(self.context, endpoint(settings.run_dir, "face"), "face", "main", newest=False)
        self.faces: list[Message] = []
        self.wanted = Scene(driver="speech")

    def turn(self, until: Callable[[], bool]) -> None:
        def turned() -> bool:
            if until():
                return True
            self.scene.send(now(), facts=self.wanted.as_dict())
            self.generator.loop.turn()
            self.faces += self.face.read()
            return False

        wait_for(turned, every=0)

    def close(self) -> None:
        self.generator.loop.stop()
        self.generator.loop.run(signals=False)  # closes what it opened
        for each in (self.scene, self.voice, self.driving, self.face):
            each.close()
        self.context.term()
