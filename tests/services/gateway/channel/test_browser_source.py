"""The browser as driver: one at a time, with only the messages that a page sends, passed on to capture."""

import pytest
import zmq
from websockets.exceptions import ConnectionClosed

from harness.channel import PATIENCE_S
from services.gateway.channel.browser_source import MAX_IMAGE_BYTES
from services.gateway.preview.encoder import encode_jpeg
from shared.media.colour import rgb_to_i420
from shared.wire.bus import Reader, endpoint
from shared.wire.message import Message
from tests.support.browser.viewer import open_socket
from tests.support.running.gateway import GatewayStudio, image

JPEG = encode_jpeg(rgb_to_i420(image(64, 48)), 80)


def closed_with(running: GatewayStudio) -> int:
    with open_socket(running, "driver") as connection, pytest.raises(ConnectionClosed) as closed:
        connection.recv(PATIENCE_S)
    assert closed.value.rcvd
    return int(closed.value.rcvd.code)


def test_frames_and_sound_of_one_browser_reach_capture(running: GatewayStudio) -> None:
    assert closed_with(running) == 4410  # the scene wants another driver
    running.patch(driver="browser")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    reader = Reader(context, endpoint(running.settings.run_dir, "remote"), "remote", "main", newest=False)
    seen: list[Message] = []

    def heard(kind: str) -> bool:
        connection.send(b"\x01" + JPEG)
        connection.send(b"\x02" + bytes(1920))
        seen.extend(reader.read())
        return any(message.facts["kind"] == kind for message in seen)

    try:
        with open_socket(running, "driver") as connection:
            running.wait(lambda: heard("frame") and heard("sound"))
            assert closed_with(running) == 4409  # one browser at a time
            frames = [message for message in seen if message.facts["kind"] == "frame"]
            sounds = [message for message in seen if message.facts["kind"] == "sound"]
            assert bytes(frames[0].array) == JPEG and frames[0].facts["captured"] > 0
            assert sounds[0].format == "s16" and sounds[0].facts["rate"] == 48_000 and len(sounds[0].array) == 960
            seen.clear()
            while reader.read():
                pass
            for wrong in (
                b"",
                b"\x01",
                b"\x01GIF89a",
                b"\x01" + JPEG[:3] + bytes(MAX_IMAGE_BYTES),
                b"\x02odd",
                b"\x03x",
            ):
                connection.send(wrong)
            running.wait(lambda: running.state()["services"]["gateway"]["drops"].get("remote malformed") == 6)
            assert not [message for message in reader.read() if message.array.size not in (len(JPEG), 960)]
            running.patch(driver="sample")
            with pytest.raises(ConnectionClosed):
                connection.recv(PATIENCE_S)
    finally:
        running.patch(driver="sample")
        reader.close()
        context.term()


def test_a_browser_that_leaves_makes_room_for_the_next(running: GatewayStudio) -> None:
    def last_said() -> str:
        said = [event["text"] for event in running.state()["log"] if "browser's camera" in event["text"]]
        return str(said[-1]) if said else ""

    running.patch(driver="browser")
    try:
        for _ in range(2):
            with open_socket(running, "driver") as connection:
                connection.send(b"\x01" + JPEG)
                running.wait(lambda: "is the driver" in last_said())
            running.wait(lambda: "stopped" in last_said())
    finally:
        running.patch(driver="sample")
