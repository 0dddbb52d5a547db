"""What a peer without a token can cost: its body is not read, its connections are limited, half a request is closed."""

import asyncio
import json
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import psutil
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from harness.channel import PATIENCE_S
from services.gateway.api import connections
from services.gateway.api.security import MAX_BODY_BYTES
from tests.support.running.gateway import GatewayStudio

SCENE = "/api/v1/channels/main/scene"


def answered(studio: GatewayStudio, head: str, body: bytes = b"") -> int:
    """Send a request whose body is incomplete; return the status of the answer."""
    with socket.create_connection(("127.0.0.1", studio.port), timeout=PATIENCE_S) as peer:
        peer.sendall(head.replace("HOST", studio.address).encode() + body)
        return int(peer.recv(4096).split(b" ")[1])


@pytest.mark.parametrize(
    "line", [f"PATCH {SCENE}", "POST /api/v1/jobs", "POST /api/v1/avatars", "POST /api/v1/channels/main/speech",
             "DELETE /api/v1/jobs/none", "PUT /api/v1/nothing", "POST /api/v1/channels/main/viewers"],
)  # fmt: skip
@pytest.mark.parametrize("length", ["Content-Length: 60000000", "Content-Length: 10", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_the_token_is_asked_for_before_a_body_has_come(
    running: GatewayStudio, line: str, length: str, kind: str
) -> None:
    assert answered(running, f"{line} HTTP/1.1\r\nHost: HOST\r\n{length}\r\nContent-Type: {kind}\r\n\r\n") == 401


def test_host_and_origin_are_looked_at_before_a_body_has_come(running: GatewayStudio) -> None:
    head = f"PATCH {SCENE} HTTP/1.1\r\nContent-Length: 60000000\r\nAuthorization: Bearer {running.token}\r\n"
    assert answered(running, head + "Host: evil.example\r\n\r\n") == 421
    assert answered(running, head + "Host: HOST\r\nOrigin: http://evil.example\r\n\r\n") == 403


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain"])
def test_a_body_with_a_token_is_bounded_too(running: GatewayStudio, kind: str) -> None:
    head = f"PATCH {SCENE} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {running.token}\r\nContent-Type: {kind}\r\n"
    assert answered(running, head + f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n") == 413
    chunk = b" " * (MAX_BODY_BYTES + 1)
    sent = f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"
    assert answered(running, head + "Transfer-Encoding: chunked\r\n\r\n", sent) == 413
    padded = json.dumps({"label": True}).encode().ljust(MAX_BODY_BYTES)
    headers = {"Content-Type": "application/json"}
    assert running.http.patch("/channels/main/scene", content=padded, headers=headers).status_code == 200


async def _says_hello(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """Run a server with the gateway's connection class; yield its port."""
    config = uvicorn.Config(_says_hello, http=connections.BoundedHttp, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


async def until_closed(reader: asyncio.StreamReader) -> None:
    try:
        await asyncio.wait_for(reader.read(), PATIENCE_S)  # until the server closes
    except ConnectionResetError:
        pass  # the server closed before it had read all that was sent


@pytest.mark.parametrize(
    "said",
    [
        b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nabc",
    ],
)  # fmt: skip
def test_half_a_request_is_closed(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_WAIT_S", 0.1)

    async def tried() -> None:
        async with served() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            await until_closed(reader)
            writer.close()

    asyncio.run(tried())


def test_a_peer_that_dribbles_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_WAIT_S", 0.3)

    async def tried() -> None:
        async with served() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            ended = asyncio.ensure_future(until_closed(reader))
            while not ended.done():
                writer.write(b"X")
                await asyncio.sleep(0.01)
            await ended
            writer.close()

    asyncio.run(tried())


def test_above_the_bound_connections_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 3)

    async def tried() -> None:
        async with served() as port:
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert (await reader.read()).startswith(b"HTTP/1.1 503")
            writer.close()
            for _, each in idle:
                each.close()
            async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=3), timeout=PATIENCE_S) as client:
                while (answer := await client.get(f"http://127.0.0.1:{port}/")).status_code == 503:
                    pass  # the server has not noticed yet that the idle ones are closed
                assert answer.text == "hello"

    asyncio.run(tried())


def test_a_gateway_with_a_thousand_descriptors_outlives_idle_connections(own: GatewayStudio) -> None:
    assert own.process is not None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    given = resource.prlimit(own.process.pid, resource.RLIMIT_NOFILE)
    assert given[0] > 1024, "the limit is raised at start"
    resource.prlimit(own.process.pid, resource.RLIMIT_NOFILE, (1024, given[1]))
    idle: list[socket.socket] = []
    try:
        while (answer := httpx.get(f"http://{own.address}/api/v1/version", timeout=PATIENCE_S)).status_code != 503:
            # A hundred at a time: more would overflow the listen backlog, and the kernel would retry them later.
            idle.extend(socket.create_connection(("127.0.0.1", own.port), timeout=PATIENCE_S) for _ in range(100))
        assert answer.text.startswith("Too many connections") and len(idle) > 700
        gateway = psutil.Process(own.process.pid)
        own.wait(lambda: gateway.num_fds() < 1024 - 100)  # descriptors are left for recordings
        for each in idle:
            each.close()
        own.wait(lambda: own.http.get("/version").status_code == 200)
        assert own.process.poll() is None
    finally:
        for each in idle:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
