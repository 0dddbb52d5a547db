"""The driver's image through a whole channel: not at all for `mesh`, whole for an engine that needs it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness.channel import Studio, studio, wait_for
from harness.seeing import ENGINES, NAME
from shared.wire.message import Message

ENOUGH, LOOKS = 15, 10  # messages, and seconds in which a busy machine sends them


def collected(run: Studio, kind: str, wanted: Callable[[Message], bool]) -> list[Message]:
    """What travels until enough of it is wanted, or ten seconds long."""
    found: list[Message] = []
    for _ in range(LOOKS):
        found += [message for _, message in run.collect_messages(kind, 1)]
        if sum(map(wanted, found)) >= ENOUGH:
            break
    return found


def is_sent(run: Studio, image: str) -> bool:
    return bool(run.state()["scene"]["driver_image"] == image)


def test_an_engine_is_sent_the_image_only_while_it_needs_it(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--port", "0", engines=ENGINES) as run:
        run.on_air()
        for engine, image in (("mesh", "none"), (NAME, "whole"), ("mesh", "none")):
            assert run.patch(engine=engine).status_code == 200
            wait_for(partial(is_sent, run, image), 20, image)
            run.collect_messages("driving", 0.5)  # what was on its way
            messages = collected(run, "driving", lambda message: True)
            assert len(messages) >= ENOUGH and all("face" in message.facts for message in messages)
            assert {message.array.size > 0 for message in messages} == {image == "whole"}
            assert run.state()["on_air_state"] == "ON AIR"
            faces = collected(run, "face", lambda message: message.facts["state"] == "live")
            assert sum(face.facts["state"] == "live" for face in faces) >= ENOUGH, "its faces follow the driver"
