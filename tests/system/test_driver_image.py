"""The driver's image in a whole channel: not sent for `mesh`, sent whole for an engine that needs it."""

from functools import partial
from pathlib import Path

from harness.channel import Studio, studio, wait_for
from harness.seeing import ENGINES, NAME
from shared.wire.message import Message
from tests.support.running.channel_looks import next_messages, until_state

ENOUGH = 15  # messages


def is_wanted(run: Studio, image: str) -> bool:
    return bool(run.state()["scene"]["driver_image"] == image)


def has_image(message: Message, has: bool = True) -> bool:
    return (message.array.size > 0) is has


def test_an_engine_is_sent_the_image_only_while_it_needs_it(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--port", "0", engines=ENGINES) as run:
        run.on_air()
        for engine, image in (("mesh", "none"), (NAME, "whole"), ("mesh", "none")):
            assert run.patch(engine=engine).status_code == 200
            wait_for(partial(is_wanted, run, image), what=image)
            next_messages(run, "driving", 1, partial(has_image, has=image == "whole"))
            messages = next_messages(run, "driving", ENOUGH)  # messages from before the change have arrived by now
            assert all("face" in message.facts for message in messages)
            assert {has_image(message) for message in messages} == {image == "whole"}
            wait_for(lambda: run.state()["on_air_state"] == "ON AIR", what="on air")
            until_state(run, "live", "face")  # the engine's faces follow the driver
