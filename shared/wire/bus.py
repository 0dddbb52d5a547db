"""ZeroMQ sockets of a channel: one ipc endpoint per stream, bounded, latest wins, every loss counted.

A stream's publisher binds and its readers connect, so either may die and return. The exception is `pulse`, which has
many publishers: its two readers, the gateway and the supervisor, each bind an endpoint, and every publisher connects
to both.
"""

import secrets
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq
from numpy.typing import NDArray
from zmq.utils.monitor import recv_monitor_message

from shared.runtime.clock import US, now
from shared.wire.message import MAX_PAYLOAD_BYTES, NOTHING, Message, WireError, decode_message, encode_message
from shared.wire.schema import MAX_STEP, check_schema

LIVE_HWM_MESSAGES = 2  # frames: a reader that is slower than this loses the oldest
SOUND_HWM_MESSAGES = 250  # sound is never dropped silently: five seconds of 20 ms blocks
MANY_HWM_MESSAGES = 1000  # for the streams of many sessions: one second of forty sessions at 25 messages a second
SOUNDS = ("voice", "sound", "remote")  # streams with sound in them
# One read of a socket takes at most this many messages, so that a flood cannot hold a service's loop.
READ_LIMIT_MESSAGES = 64
LOOK_US = US // 2  # interval between checks for an endpoint's file
_CONNECTION = zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_DELAYED | zmq.EVENT_CONNECT_RETRIED


def endpoint(run_dir: Path, name: str) -> str:
    """The ipc endpoint of a stream (or of one of the two readers of `pulse`)."""
    return f"ipc://{run_dir / name}.ipc"


class Binding:
    """A socket's bound endpoint, bound again when its ipc file is removed, because new peers connect by that file.

    Unbinding and binding again happen LOOK_US apart: libzmq removes the file of an endpoint that it unbinds, even one
    that another socket has created at that path in the meantime.
    """

    def __init__(self, socket: "zmq.Socket[Any]", address: str) -> None:
        self._socket, self._address = socket, address
        self._path = Path(address.removeprefix("ipc://")) if address.startswith("ipc://") else None
        self._look_due = 0
        self._is_bound = True
        socket.bind(address)

    def keep(self) -> None:
        """Check the file at most every LOOK_US; unbind or bind again if it is gone. Call from the socket's thread."""
        at = now()
        if self._path is None or at < self._look_due:
            return
        self._look_due = at + LOOK_US
        if self._is_bound and not self._path.exists():
            self._is_bound = False
            with suppress(zmq.ZMQError):
                self._socket.unbind(self._address)
        elif not self._is_bound:
            with suppress(OSError, zmq.ZMQError):  # tried again at the next check
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._socket.bind(self._address)
                self._is_bound = True


class Publisher:
    """Sends one stream. Owned by one thread."""

    def __init__(
        self,
        context: zmq.Context[Any],
        address: str,
        stream: str,
        channel: str,
        *,
        bind: bool = True,
        many: bool = False,
    ) -> None:
        """many: the publisher carries the streams of many sessions, and a message's channel names its session."""
        self.stream, self.channel, self.epoch = stream, channel, 0
        self._run = secrets.randbits(62)
        self._sequence = 0
        self._socket = context.socket(zmq.PUB)
        _bound(
            self._socket, MANY_HWM_MESSAGES if many else SOUND_HWM_MESSAGES if stream in SOUNDS else LIVE_HWM_MESSAGES
        )
        self._binding = Binding(self._socket, address) if bind else None
        if not bind:
            self._socket.connect(address)

    def keep_endpoint(self) -> None:
        """Bind the endpoint again if its file is gone."""
        if self._binding:
            self._binding.keep()

    def connect(self, address: str) -> None:
        """Also send to the reader that has bound this address."""
        self._socket.connect(address)

    def send(
        self,
        pts: int,
        array: NDArray[Any] = NOTHING,
        format: str = "bytes",
        *,
        stamps: Mapping[str, int] | None = None,
        facts: Mapping[str, Any] | None = None,
        channel: str = "",
    ) -> None:
        """Send without a copy: the array belongs to the socket from now on.

        channel: channel of this message; the publisher's own if empty.
        """
        message = Message(
            self.stream,
            channel or self.channel,
            self.epoch,
            self._run,
            self._sequence,
            pts,
            format,
            array,
            dict(stamps or {}),
            dict(facts or {}),
        )
        self._sequence += 1
        self._socket.send_multipart(encode_message(message), copy=False)

    def close(self) -> None:
        """Close the socket; messages that are not sent yet are dropped."""
        self._socket.close(linger=0)


class Reader:
    """Receives one stream. Owned by one thread.

    channel: the channel whose messages are read; "" reads those of every channel.
    newest: return only the newest message of a read; the older ones are counted as ``stale``.
    losses: number of dropped messages by reason: stale, lost (gaps in the sequence), malformed, short, oversized,
        version, ahead (of the clock), foreign (from another channel or stream).
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        address: str,
        stream: str,
        channel: str,
        *,
        newest: bool = True,
        bind: bool = False,
    ) -> None:
        self.stream, self.channel, self.newest = stream, channel, newest
        self.losses: Counter[str] = Counter()
        self._next: int | None = None
        self._run: int | None = None
        self._gaps = not bind  # a reader that binds receives from many publishers, whose sequence numbers interleave
        self.socket = context.socket(zmq.SUB)
        _bound(self.socket, LIVE_HWM_MESSAGES if newest else SOUND_HWM_MESSAGES if channel else MANY_HWM_MESSAGES)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")  # everything, so that foreign messages are counted
        self._address = address
        self._monitor = None if bind else self.socket.get_monitor_socket(_CONNECTION)
        self._binding = Binding(self.socket, address) if bind else None
        if not bind:
            self.socket.connect(address)

    def keep_endpoint(self) -> None:
        """Bind the endpoint again if its file is gone."""
        if self._binding:
            self._binding.keep()

    def redial(self) -> None:
        """Connect again if libzmq has given up the connection; called with every pulse.

        libzmq stops reconnecting after a message that exceeds MAXMSGSIZE.
        """
        event = None
        while self._monitor is not None and self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
        if event == zmq.EVENT_DISCONNECTED:  # libzmq gave up: if the peer had died, a retry would be the last event
            self.losses["oversized"] += 1
            self.socket.disconnect(self._address)
            self.socket.connect(self._address)

    def read(self) -> list[Message]:
        """Return the messages that have arrived, without waiting: the newest one with `newest`, else all in order."""
        messages: list[Message] = []
        for _ in range(READ_LIMIT_MESSAGES):
            try:
                parts = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            try:
                message = decode_message([part.buffer for part in parts])
                if message.stream != self.stream or self.channel not in ("", message.channel):
                    raise WireError("foreign")
                check_schema(message, now())
            except WireError as error:
                self.losses[error.reason] += 1
                continue
            if self._gaps:
                step = message.sequence - self._next if self._run == message.run and self._next is not None else 0
                self._run = message.run
                self._next = message.sequence + 1
                if step > MAX_STEP:  # no publisher can have sent so many; the next message is compared with this one
                    self.losses["malformed"] += 1
                    continue
                if step > 0:
                    self.losses["lost"] += step
            if self.newest and messages:
                self.losses["stale"] += 1
                messages.clear()
            messages.append(message)
        return messages

    def close(self) -> None:
        """Close the socket; closing it again does nothing."""
        if self._monitor is not None and not self.socket.closed:
            self.socket.disable_monitor()
            self._monitor.close(linger=0)
        self.socket.close(linger=0)


def _bound(socket: zmq.Socket[Any], hwm: int) -> None:
    socket.setsockopt(zmq.SNDHWM, hwm)
    socket.setsockopt(zmq.RCVHWM, hwm)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_PAYLOAD_BYTES + 4096)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 250)
