"""A service that runs alone, with the caller in the place of all other services; and malformed messages for it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import msgpack
import numpy as np
import zmq

from shared.runtime.clock import now
from shared.scene import Scene
from shared.wire.bus import Reader, endpoint
from shared.wire.message import Message, encode_message
from shared.wire.pulse import Pulse

INPUTS = {
    "capture": ("scene", "remote"),
    "generator": ("scene", "driving", "voice"),
    "compositor": ("scene", "face", "voice"),
    "gateway": ("program", "sound", "driving"),
    "sessions": ("sessions", "face"),
    "faces": ("sessions", "voice"),
}
# For the services that serve many sessions: the endpoint of each input stream, and the module and arguments to run.
ENDPOINTS = {"sessions": {"sessions": "rooms", "face": "faces"}, "faces": {"sessions": "casts", "voice": "voices"}}
PROGRAMS = {"faces": ("services.generator", "--sessions")}


class Alone:
    """A running service. `senders`: a bound PUB socket for each stream that it reads."""

    def __init__(self, service: str, home: Path, run_root: Path) -> None:
        self.service, self.run_dir = service, run_root / "main"
        self.run_dir.mkdir(mode=0o700, parents=True)
        self.context: zmq.Context[Any] = zmq.Context()
        self.pulses = Reader(self.context, endpoint(self.run_dir, "watch"), "pulse", "main", newest=False, bind=True)
        self.senders = {stream: self._bound(stream) for stream in INPUTS[service]}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STUDIO_")}
        environment |= {"STUDIO_HOME": str(home), "STUDIO_RUN_ROOT": str(run_root), "STUDIO_PORT": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *PROGRAMS.get(service, (f"services.{service}",))],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.last: Pulse | None = None
        self.sequence, self.revision = 0, 5

    def _bound(self, stream: str) -> "zmq.Socket[Any]":
        socket = self.context.socket(zmq.PUB)
        socket.bind(endpoint(self.run_dir, ENDPOINTS.get(self.service, {}).get(stream, stream)))
        return cast("zmq.Socket[Any]", socket)

    def pulse(self) -> Pulse | None:
        """Return the service's newest pulse, None before the first; a service that follows a scene is sent it again."""
        if "scene" in self.senders:
            self.send("scene", facts=Scene(revision=self.revision, driver="browser").as_dict())
        for message in self.pulses.read():
            self.last = Pulse.from_dict(message.facts)
        return self.last

    def follows(self) -> bool:
        """Whether the service sends pulses and, if it follows a scene, has received the current revision."""
        pulse = self.pulse()
        return pulse is not None and (pulse.scene == self.revision or "scene" not in self.senders)

    def send(self, stream: str, **fields: Any) -> None:
        """Send a well-formed message. fields: fields of `Message`; `pts` is now unless given."""
        self.sequence += 1
        message = Message(stream, "main", 1, 1, self.sequence, fields.pop("pts", now()), **fields)
        self.senders[stream].send_multipart(encode_message(message))

    def drops(self, stream: str) -> dict[str, int]:
        """Return how many messages of a stream the service dropped, by reason."""
        pulse = self.pulse()
        return {k.split(" ", 1)[1]: n for k, n in pulse.drops.items() if k.startswith(f"{stream} ")} if pulse else {}

    def dropped(self, stream: str, reason: str) -> int:
        """Return how many messages of a stream the service dropped for this reason."""
        return self.drops(stream).get(reason, 0)

    def close(self) -> None:
        """Kill the service and close all sockets."""
        self.process.kill()
        self.process.wait()
        for socket in self.senders.values():
            socket.close(linger=0)
        self.pulses.close()
        self.context.term()


def junk(stream: str, generator: np.random.Generator) -> list[list[bytes]]:
    """Return multipart messages, each broken or implausible in its parts, header, version, shape, facts, pts or seq."""
    name, header, payload = encode_message(Message(stream, "main", 1, 1, 1, now(), "s16", np.zeros(64, np.int16)))
    values = msgpack.unpackb(header)
    damaged = bytearray(header)
    damaged[generator.integers(len(damaged))] = generator.integers(256)
    facts = {"present": "yes", "face": b"short", "neutral": 5, "captured": "now", "state": [], "avatar": {}, "kind": 3}

    def changed(**more: Any) -> bytes:
        return cast("bytes", msgpack.packb(values | more))

    return [
        [generator.bytes(8)],
        [name, generator.bytes(40), b""],
        [name, bytes(damaged), bytes(payload)],
        [name, changed(v=99), bytes(payload)],
        [name, changed(shape=[1 << 30]), bytes(payload)],
        [name, bytes(header), bytes(payload)[:-3]],
        [name, changed(facts=facts, format="bytes", shape=[128]), bytes(payload)],
        [name, changed(facts=facts, format="rgb24", shape=[4, 4, 3]), bytes(48)],
        [name, changed(channel="another"), bytes(payload)],
        [name, b"\x81" * 70_000, b""],
        [name, changed(format="rgb24", shape=[0, 0, 3]), b""],
        [name, changed(format="rgb24", shape=[8, 8, 1]), bytes(64)],
        [name, changed(format="i420", shape=[3, 70_000]), bytes(210_000)],
        [name, changed(format="bytes", shape=[0]), b""],
        [name, changed(pts=now() + int(generator.integers(1, 1 << 40))), bytes(payload)],
        [name, changed(pts=(1 << 63) - 1), bytes(payload)],
        [name, changed(seq=int(generator.integers(1 << 62, (1 << 63) - 1))), bytes(payload)],
    ]
