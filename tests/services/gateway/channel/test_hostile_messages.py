"""Hostile and broken messages on the gateway's own sockets are counted and have no other effect."""

from functools import partial

import msgpack
import zmq

from shared.wire.bus import endpoint
from tests.support.running.gateway import GatewayStudio

BIG_PAYLOAD = bytes(33 << 20)


def head(stream: str, **changes: object) -> bytes:
    good = {
        "v": 1, "channel": "main", "epoch": 0, "run": 1, "seq": 0, "pts": 0, "format": "i420", "shape": [12, 8],
        "stamps": {}, "facts": {},
    }  # fmt: skip
    return bytes(msgpack.packb(good | changes))


def test_broken_messages_are_counted_and_the_program_goes_on(own: GatewayStudio) -> None:
    own.channel.stop()  # the test takes over its endpoints
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets = {}
    for stream in ("program", "sound", "driving", "pulse"):
        sockets[stream] = context.socket(zmq.PUB)
        sockets[stream].setsockopt(zmq.LINGER, 0)
        address = endpoint(own.settings.run_dir, stream)
        sockets[stream].connect(address) if stream == "pulse" else sockets[stream].bind(address)

    def send(stream: str) -> None:
        name, pixels = stream.encode(), bytes(96)
        for parts in (
            [b"\xff"], [name, b"", b""], [name, b"\xc1garbage", pixels], [name, head(stream), pixels, b"more"],
            [name, head(stream, v=99), pixels], [name, head(stream, shape=[1200, 8]), pixels],
            [name, head(stream, channel="other"), pixels], [b"scene", head(stream), pixels],
            [name, head(stream), pixels], [name, head(stream, format="s16", shape=[48], facts={"tick": -1}), pixels],
            [name, head(stream, facts={"tick": 1 << 62, "box": "x"}), pixels], [name, b"\x91" * 5000, pixels],
        ):  # fmt: skip
            sockets[stream].send_multipart(parts)

    def counted(stream: str) -> bool:
        send(stream)
        drops = own.state()["services"]["gateway"]["drops"]
        return all(drops.get(f"{stream} {reason}", 0) > 0 for reason in ("malformed", "version", "short", "foreign"))

    for stream in sockets:
        own.wait(partial(counted, stream))
        sockets[stream].send_multipart([stream.encode(), head(stream), BIG_PAYLOAD])
    for each in sockets.values():
        each.close()
    context.term()
    own.channel.start()
    own.on_air()
    assert own.process and own.process.poll() is None
    assert own.state()["services"]["gateway"]["pid"] == own.process.pid
