"""Program messages of the compositor: frames without the label, and headers without pixels."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from harness.channel import wait_for
from services.compositor.service import Compositor
from shared.avatar.model import load_avatar
from shared.config.settings import Settings
from shared.runtime.clock import now
from shared.scene import Scene
from shared.wire.bus import Publisher, Reader, endpoint
from shared.wire.message import Message, encode_message
from shared.wire.program import frame_of


class CompositorChannel:
    """A compositor that runs in this thread, with the sockets of the services it talks to."""

    def __init__(self, settings: Settings) -> None:
        settings.run_dir.mkdir(parents=True)
        self.context: zmq.Context = zmq.Context()  # type: ignore[type-arg]
        self.scene = Publisher(self.context, endpoint(settings.run_dir, "scene"), "scene", "main")
        self.compositor = Compositor(settings)
        self.program = Reader(self.context, endpoint(settings.run_dir, "program"), "program", "main", newest=False)

    def frames(self, scene: Scene) -> list[Message]:
        """Publish `scene` until the compositor uses it; return the program messages received then."""

        def composed() -> list[Message]:
            self.scene.send(now(), facts=scene.as_dict())
            self.compositor.loop.turn()
            return [message for message in self.program.read() if self.compositor.loop.scene == scene]

        return list(wait_for(composed, 20, every=0))

    def close(self) -> None:
        self.compositor.loop.stop()
        self.compositor.loop.run(signals=False)  # a stopped loop only closes its sockets
        self.scene.close()
        self.program.close()
        self.context.term()


@pytest.fixture
def channel(sample_home: Path, run_root: Path) -> Iterator[CompositorChannel]:
    made = CompositorChannel(Settings(run_root=run_root, home=sample_home, clean_feed_right="own label"))
    yield made
    made.close()


@pytest.mark.parametrize("label", [True, False])
def test_the_frame_is_the_plate_to_the_bit_whether_the_scene_wants_the_label_or_not(
    channel: CompositorChannel, sample_home: Path, label: bool
) -> None:
    plate = load_avatar(sample_home / "avatars" / "sample").plate
    for message in channel.frames(Scene(label=label)):
        frame = frame_of(message)
        assert frame.label is label and frame.label_box is None
        assert np.array_equal(frame.i420, plate.frame(frame.plate)), "nothing drives it, and no label is drawn"
        assert len(encode_message(message)[1]) < 1024
