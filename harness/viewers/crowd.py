"""Many viewers that come and go, in a process of their own."""

import asyncio
import json
import random
import subprocess
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from services.gateway.preview.encoder import FULL, HEADER, ROI

VIEWERS = 200
STAY_S, AWAY_S = (0.2, 1.5), (0.5, 4.0)  # a viewer watches, and is away before it comes again
SOCKETS = ("preview?mode=roi", "preview?mode=full", "preview?mode=roi", "state")  # what an open page has, and a switch


class Crowd:
    """The viewers, in a process of their own until `leave`."""

    def __init__(self, base: str, token: str, channel: str, count: int = VIEWERS) -> None:
        sockets = f"{base.replace('http', 'ws', 1)}/api/v1/channels/{channel}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.viewers.crowd", sockets, str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        assert self._process.stdin
        self._process.stdin.write(token + "\n")
        self._process.stdin.flush()

    def leave(self, after: int = 0) -> int:
        """End all visits once there were this many; returns how many there were."""
        said, _ = self._process.communicate(f"{after}\n", timeout=120)
        return int(said)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class _Visits:
    """Counts visits, and says when there were enough."""

    def __init__(self) -> None:
        self.count = 0
        self.over = asyncio.Event()
        self._enough: int | None = None

    def hear(self) -> None:
        """Read after how many all shall go."""
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        self._enough = int(sys.stdin.readline() or 0)
        self.add(0)

    def add(self, more: int) -> None:
        self.count += more
        if self._enough is not None and self.count >= self._enough:
            self.over.set()


async def visit_until_told(address: str, count: int) -> int:
    """`count` viewers come and go until there were as many visits as a line on standard input says; the visits made."""
    token = sys.stdin.readline().strip()
    visits = _Visits()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), visits.hear)
    await asyncio.gather(*(_viewer(address, token, number, visits) for number in range(count)))
    return visits.count


async def _viewer(address: str, token: str, number: int, visits: _Visits) -> None:
    chance = random.Random(number)
    while True:
        try:
            async with asyncio.timeout(chance.uniform(*AWAY_S)):
                await visits.over.wait()
            return
        except TimeoutError:
            pass
        try:
            async with asyncio.timeout(chance.uniform(*STAY_S)):
                await _visit(f"{address}/{SOCKETS[number % len(SOCKETS)]}", token)
        except TimeoutError:
            visits.add(1)  # it has watched for as long as it wanted
        except (OSError, WebSocketException):
            pass


async def _visit(address: str, token: str) -> None:
    # As a browser does when its tab is closed: gone without waiting for an answer.
    async with connect(address, max_size=None, compression=None, close_timeout=0.1) as socket:
        await socket.send(json.dumps({"token": token}))
        async for data in socket:
            if isinstance(data, bytes):
                if HEADER.unpack_from(data)[0] in (FULL, ROI):
                    await socket.send('{"ack": 1}')
            elif hello := json.loads(data).get("hello"):
                await socket.send(json.dumps({"plate": hello["number"]}))


if __name__ == "__main__":
    print(asyncio.run(visit_until_told(sys.argv[1], int(sys.argv[2]))))
