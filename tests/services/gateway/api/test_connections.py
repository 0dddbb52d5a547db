"""Connections without a token, on a driven clock: limited in number, closed while a request stays incomplete."""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from services.gateway.api import connections
from services.gateway.api.connections import (
    HEADER_WAIT_S,
    MAX_CONNECTIONS,
    RESERVED_DESCRIPTORS,
    BoundedHttp,
    most_connections,
)

pytestmark = pytest.mark.unit

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


class HeldTransport(asyncio.Transport):
    """A transport that keeps everything written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closes = b"", 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing
        self.written += bytes(data)

    def close(self) -> None:
        self.closes += 1

    @property
    def closing(self) -> bool:
        return self.closes > 0

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@dataclass
class DrivenServer:
    """Connections on a clock that the test drives; `pass_time` runs the timers that are due.

    answering: while this is not set, the application does not answer.
    """

    loop: asyncio.AbstractEventLoop
    state: ServerState = field(default_factory=ServerState)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0  # requests that reached the application
    at: float = 0.0
    timers: list[tuple[float, asyncio.TimerHandle]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answering.set()
        config = uvicorn.Config(self._app, interface="asgi3", lifespan="off", log_config=None, timeout_keep_alive=10**6)
        config.load()
        self.config = config
        self.loop.call_later = self._call_later  # type: ignore[method-assign, assignment]

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await self.answering.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})

    def _call_later(self, delay: float, callback: Callable[..., Any], *args: Any, **_: Any) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(self.at + delay, callback, args, self.loop)
        self.timers.append((self.at + delay, handle))
        return handle

    def connect(self) -> tuple[BoundedHttp, HeldTransport]:
        protocol, transport = BoundedHttp(self.config, self.state, {}, self.loop), HeldTransport()
        protocol.connection_made(transport)
        return protocol, transport

    async def pass_time(self, seconds: float) -> None:
        self.at += seconds
        for due, handle in list(self.timers):
            if due <= self.at and not handle.cancelled():
                handle._run()
        self.timers = [each for each in self.timers if each[0] > self.at]
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


def driven(test: Callable[[DrivenServer], Awaitable[None]]) -> None:
    async def run() -> None:
        await test(DrivenServer(asyncio.get_running_loop()))

    asyncio.run(run())


@pytest.mark.parametrize(
    "said", [b"", b"G", b"GET / HTTP/1.1\r\n", HEAD + b"X: ", HEAD + b"\r\nGET /",
             HEAD.replace(b"GET", b"POST") + b"Content-Length: 999\r\n\r\nabc"],
)  # fmt: skip
def test_half_a_request_is_closed_after_its_wait_and_not_before(said: bytes) -> None:
    async def tried(server: DrivenServer) -> None:
        protocol, transport = server.connect()
        if said:
            protocol.data_received(said)
        await server.settle()
        await server.pass_time(HEADER_WAIT_S - 0.1)
        assert not transport.closing
        await server.pass_time(0.2)
        assert transport.closing

    driven(tried)


def test_one_that_dribbles_gets_no_longer_than_one_that_is_silent() -> None:
    async def tried(server: DrivenServer) -> None:
        protocol, transport = server.connect()
        protocol.data_received(HEAD)
        for _ in range(9):
            protocol.data_received(b"X: y\r\n")
            await server.pass_time(HEADER_WAIT_S / 10)
            assert not transport.closing
        await server.pass_time(HEADER_WAIT_S / 10)
        assert transport.closing

    driven(tried)


def test_a_request_that_is_whole_has_all_the_time_its_answer_takes() -> None:
    async def tried(server: DrivenServer) -> None:
        server.answering.clear()
        protocol, transport = server.connect()
        protocol.data_received(HEAD + b"\r\n")
        await server.pass_time(100 * HEADER_WAIT_S)
        assert not transport.closing and transport.written == b""
        server.answering.set()
        await server.settle()
        assert transport.written.endswith(b"hello") and not transport.closing

    driven(tried)


def test_an_upload_under_way_is_not_cut_off() -> None:
    async def tried(server: DrivenServer) -> None:
        server.answering.clear()
        protocol, transport = server.connect()
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\na")
        for byte in (b"b", b"c", b"d"):
            await server.pass_time(2 * HEADER_WAIT_S)
            protocol.data_received(byte)
            assert not transport.closing

    driven(tried)


def test_the_wait_begins_again_with_each_request_of_a_connection() -> None:
    async def tried(server: DrivenServer) -> None:
        protocol, transport = server.connect()
        for _ in range(4):
            await server.pass_time(HEADER_WAIT_S * 0.6)
            protocol.data_received(HEAD + b"\r\n")
            await server.settle()
        assert transport.written.count(b"hello") == 4 and not transport.closing
        await server.pass_time(HEADER_WAIT_S)
        assert transport.closing, "nothing more was asked"

    driven(tried)


def test_a_connection_that_is_gone_is_not_closed_later() -> None:
    async def tried(server: DrivenServer) -> None:
        protocol, transport = server.connect()
        protocol.connection_lost(None)
        closes = transport.closes
        await server.pass_time(10 * HEADER_WAIT_S)
        assert transport.closes == closes and not server.state.connections

    driven(tried)


def test_above_the_bound_one_is_refused_and_what_it_says_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 2)

    async def tried(server: DrivenServer) -> None:
        kept = [server.connect() for _ in range(2)]
        protocol, refused = server.connect()
        head, _, body = refused.written.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ") and refused.closing
        assert f"content-length: {len(body)}".encode() in head, "the answer is whole"
        protocol.data_received(HEAD + b"\r\n")
        await server.settle()
        protocol.connection_lost(None)
        assert server.asked == 0 and refused.written == head + b"\r\n\r\n" + body
        kept[0][0].connection_lost(None)
        again, let_in = server.connect()
        again.data_received(HEAD + b"\r\n")
        await server.settle()
        assert let_in.written.endswith(b"hello") and not let_in.closing, "one that ends makes room"

    driven(tried)


@pytest.mark.parametrize(
    ("soft", "most"),
    [
        (1 << 20, MAX_CONNECTIONS), (resource.RLIM_INFINITY, MAX_CONNECTIONS), (1024, 1024 - RESERVED_DESCRIPTORS),
        (RESERVED_DESCRIPTORS, 16), (1, 16),
    ],
)  # fmt: skip
def test_connections_leave_descriptors_for_the_recording(soft: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert most_connections() == most
