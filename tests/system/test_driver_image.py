"""The driver's image through a whole channel: not at all for `mesh`, whole for an engine that needs it."""

from pathlib import Path

from harness.channel import Studio, studio, wait_for
from harness.seeing import ENGINES, NAME
from shared.wire.message import Message


def collected(run: Studio, image: str) -> list[Message]:
    """What travels for a while once as much of the image as this is asked for."""
    wait_for(lambda: run.state()["scene"]["driver_image"] == image, 20, image)
    run.collect_messages("driving", 0.5)  # what was on its way
    return [message for _, message in run.collect_messages("driving", 1)]


def test_an_engine_is_sent_the_image_only_while_it_needs_it(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--port", "0", engines=ENGINES) as run:
        run.on_air()
        for engine, image in (("mesh", "none"), (NAME, "whole"), ("mesh", "none")):
            assert run.patch(engine=engine).status_code == 200
            messages = collected(run, image)
            assert len(messages) >= 15 and all("face" in message.facts for message in messages)
            assert {message.array.size > 0 for message in messages} == {image == "whole"}
            assert run.state()["on_air_state"] == "ON AIR"
            faces = run.collect_messages("face", 1)
            assert len([m for _, m in faces if m.facts["state"] == "live"]) >= 15, "its faces follow the driver"
