"""ZeroMQ sockets of a channel: one ipc endpoint per stream, bounded, latest wins, every loss counted.

A stream's publisher binds, its readers connect, so that either side may die and come back. Two exceptions
collect from many: `pulse`, which the gateway and the supervisor each bind.
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

LIVE_HWM_MESSAGES = 2  # frames: a reader that is slow by more than this loses the oldest
SOUND_HWM_MESSAGES = 250  # sound is never dropped silently: five seconds of 20 ms blocks
MANY_HWM_MESSAGES = 1000  # of many sessions, as many as a second's of forty
SOUNDS = ("voice", "sound", "remote")  # streams with sound in them
# One read of a socket takes at most this many messages, so that a flood cannot hold a service's loop.
READ_LIMIT_MESSAGES = 64
LOOK_US = US // 2  # between two looks for an endpoint's file
_CONNECTION = zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_DELAYED | zmq.EVENT_CONNECT_RETRIED


def endpoint(run_dir: Path, name: str) -> str:
    """The ipc endpoint of a stream (or of one of the two readers of `pulse`)."""
    return f"ipc://{run_dir / name}.ipc"


class Binding:
    """The endpoint that a socket has bound, made again where its file is removed: who comes later would find none.

    In two steps, a while apart: libzmq removes the file of an endpoint that it gives up, whichever socket's it is by
    then.
    """

    def __init__(self, socket: "zmq.Socket[Any]", address: str) -> None:
        self._socket, self._address = socket, address
        self._path = Path(address.removeprefix("ipc://")) if address.startswith("ipc://") else None
        self._look_due = 0
        self._is_bound = True
        socket.bind(address)

    def keep(self) -> None:
        """Called now and then by the socket's thread; looks at most every LOOK_US."""
        at = now()
        if self._path is None or at < self._look_due:
            return
        self._look_due = at + LOOK_US
        if self._is_bound and not self._path.exists():
            self._is_bound = False
            with suppress(zmq.ZMQError):
                self._socket.unbind(self._address)
        elif not self._is_bound:
            with suppress(OSError, zmq.ZMQError):  # tried again at the next look
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
        """many: it carries the streams of many sessions, each named as a message's channel."""
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
        """Make the endpoint again where its file is gone."""
        if self._binding:
            self._binding.keep()

    def connect(self, address: str) -> None:
        """Send to one more reader that binds."""
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

        channel: another one than the publisher's.
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
        """Close the socket; what is not sent yet is dropped."""
        self._socket.close(linger=0)


class Reader:
    """Receives one stream. Owned by one thread.

    channel: whose messages are read; "" for those of every one.
    newest: hand out only the newest message of a read; those it replaces are counted as ``stale``.
    losses: what was dropped and why: stale, lost (gaps in the sequence), malformed, short, oversized, version, ahead
        (of the clock), foreign (another channel's or stream's).
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
        self._gaps = not bind  # a collecting reader hears many publishers, whose numbers interleave
        self.socket = context.socket(zmq.SUB)
        _bound(self.socket, LIVE_HWM_MESSAGES if newest else SOUND_HWM_MESSAGES if channel else MANY_HWM_MESSAGES)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")  # everything, so that what does not belong here is counted
        self._address = address
        self._monitor = None if bind else self.socket.get_monitor_socket(_CONNECTION)
        self._binding = Binding(self.socket, address) if bind else None
        if not bind:
            self.socket.connect(address)

    def keep_endpoint(self) -> None:
        """Make the endpoint again where its file is gone."""
        if self._binding:
            self._binding.keep()

    def redial(self) -> None:
        """Dial again where libzmq has given up; called with every pulse.

        It gives up for good when a message is beyond MAXMSGSIZE.
        """
        event = None
        while self._monitor is not None and self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
        if event == zmq.EVENT_DISCONNECTED:  # a peer that died would have been followed by a retry
            self.losses["oversized"] += 1
            self.socket.disconnect(self._address)
            self.socket.connect(self._address)

    def read(self) -> list[Message]:
        """What has arrived, without waiting: the newest message, or all in order."""
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
                if step > MAX_STEP:  # no publisher can have sent so many; what comes next is compared with this one
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
        """Does nothing the second time."""
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
