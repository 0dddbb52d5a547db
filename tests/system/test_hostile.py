"""Each service on its own, with strangers on every socket it reads: bad messages are counted and nothing else happens."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgpack
import numpy as np
import pytest
import zmq

from harness.channel import resident_bytes, wait_for
from shared.runtime.clock import now
from shared.scene import Scene
from shared.wire.bus import Reader, endpoint
from shared.wire.message import MAX_PAYLOAD_BYTES, Message, encode_message
from shared.wire.pulse import Pulse

INPUTS = {
    "capture": ("scene", "remote"),
    "generator": ("scene", "driving"),
    "compositor": ("scene", "face", "voice"),
}
BURST = 400


class Alone:
    """One service in a run folder where the test plays everybody else."""

    def __init__(self, service: str, home: Path, run_root: Path) -> None:
        self.run_dir = run_root / "main"
        self.run_dir.mkdir(mode=0o700, parents=True)
        self.context: zmq.Context[Any] = zmq.Context()
        self.pulses = Reader(self.context, endpoint(self.run_dir, "pulse"), "pulse", "main", newest=False, bind=True)
        self.senders = {stream: self._bound(stream) for stream in INPUTS[service]}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STUDIO_")}
        environment |= {"STUDIO_HOME": str(home), "STUDIO_RUN_ROOT": str(run_root)}
        self.process = subprocess.Popen([sys.executable, "-m", f"services.{service}"], env=environment)
        self.last: Pulse | None = None
        self.sequence, self.revision = 0, 5

    def _bound(self, stream: str) -> "zmq.Socket[Any]":
        socket = self.context.socket(zmq.PUB)
        socket.bind(endpoint(self.run_dir, stream))
        return cast("zmq.Socket[Any]", socket)

    def pulse(self) -> Pulse | None:
        """The newest pulse, with the scene said again so that the service has something to do."""
        self.send("scene", facts=Scene(revision=self.revision, driver="browser").as_dict())
        for message in self.pulses.read():
            self.last = Pulse.from_dict(message.facts)
        return self.last

    def send(self, stream: str, **fields: Any) -> None:
        """A well-formed message."""
        self.sequence += 1
        message = Message(stream, "main", 1, 1, self.sequence, fields.pop("pts", now()), **fields)
        self.senders[stream].send_multipart(encode_message(message))

    def drops(self, stream: str) -> dict[str, int]:
        """What the service counts on a stream, by reason."""
        pulse = self.pulse()
        return {k.split(" ", 1)[1]: n for k, n in pulse.drops.items() if k.startswith(f"{stream} ")} if pulse else {}

    def dropped(self, stream: str, reason: str) -> int:
        """How many messages of a stream the service dropped for this reason."""
        return self.drops(stream).get(reason, 0)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for socket in self.senders.values():
            socket.close(linger=0)
        self.pulses.close()
        self.context.term()


@pytest.fixture(params=INPUTS)
def alone(request: pytest.FixtureRequest, live_home: Path, run_root: Path) -> Iterator[Alone]:
    running = Alone(request.param, live_home, run_root)
    yield running
    running.close()


def junk(stream: str, generator: np.random.Generator) -> list[list[bytes]]:
    """Broken in every layer: parts, header, version, shape, facts."""
    name, header, payload = encode_message(Message(stream, "main", 1, 1, 1, now(), "s16", np.zeros(64, np.int16)))
    values = msgpack.unpackb(header)
    damaged = bytearray(header)
    damaged[generator.integers(len(damaged))] = generator.integers(256)
    facts = {"present": "yes", "face": b"short", "neutral": 5, "captured": "now", "state": [], "avatar": {}, "kind": 3}
    return [
        [generator.bytes(8)],
        [name, generator.bytes(40), b""],
        [name, bytes(damaged), bytes(payload)],
        [name, msgpack.packb(values | {"v": 99}), bytes(payload)],
        [name, msgpack.packb(values | {"shape": [1 << 30]}), bytes(payload)],
        [name, bytes(header), bytes(payload)[:-3]],
        [name, msgpack.packb(values | {"facts": facts, "format": "bytes", "shape": [128]}), bytes(payload)],
        [name, msgpack.packb(values | {"facts": facts, "format": "rgb24", "shape": [4, 4, 3]}), bytes(48)],
        [name, msgpack.packb(values | {"channel": "another"}), bytes(payload)],
        [name, b"\x81" * 70_000, b""],
    ]


def test_strangers_are_counted_and_the_service_goes_on(alone: Alone) -> None:
    wait_for(lambda: (p := alone.pulse()) and p.scene == 5, 20, "the service follows the scene")
    memory = resident_bytes(alone.process.pid)
    generator = np.random.default_rng(7)
    for stream, socket in alone.senders.items():
        for _ in range(BURST // 10):
            for parts in junk(stream, generator):
                socket.send_multipart(parts)
            time.sleep(0.002)
        socket.send_multipart([stream.encode(), b"\x80", bytes(MAX_PAYLOAD_BYTES + 8192)], copy=False)
    for stream in alone.senders:
        for reason in ("malformed", "version", "short", "oversized"):
            wait_for(partial(alone.dropped, stream, reason), 10, f"{reason} counted on {stream}")
    alone.revision = 6
    wait_for(lambda: (p := alone.pulse()) and p.scene == 6, 10, "it follows the scene again")
    assert alone.process.poll() is None
    # The engine that is opened meanwhile takes a hundred megabytes; kept junk would take more than the rest.
    assert resident_bytes(alone.process.pid) - memory < 224 << 20
