"""Many viewers that connect and disconnect repeatedly, run in a separate process."""

import asyncio
import json
import random
import subprocess
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from services.gateway.preview.encoder import FULL, HEADER, ROI

VIEWERS = 200
STAY_S, AWAY_S = (0.2, 1.5), (0.5, 4.0)  # ranges of a visit's length and of the pause before the next one
SOCKETS = ("preview?mode=roi", "preview?mode=full", "preview?mode=roi", "state")  # those of an open page, and "full"


class Crowd:
    """`count` viewers in a separate process until `leave`."""

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
        """End all visits once `after` visits have been made, and return how many were made."""
        said, _ = self._process.communicate(f"{after}\n", timeout=120)
        return int(said)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class _Visits:
    """Counts visits. over: set when the number read by `hear` has been reached."""

    def __init__(self) -> None:
        self.count = 0
        self.over = asyncio.Event()
        self._enough: int | None = None

    def hear(self) -> None:
        """Read from standard input the number of visits after which all viewers leave."""
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        self._enough = int(sys.stdin.readline() or 0)
        self.add(0)

    def add(self, more: int) -> None:
        self.count += more
        if self._enough is not None and self.count >= self._enough:
            self.over.set()


async def visit_until_told(address: str, count: int) -> int:
    """Run `count` viewers and return the number of visits made.

    Standard input gives the token on its first line. A second line, at any time, gives the number of visits at which
    all viewers leave.
    """
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
            visits.add(1)  # the visit lasted for as long as intended
        except (OSError, WebSocketException):
            pass


async def _visit(address: str, token: str) -> None:
    # Disconnect without waiting for an answer, as a browser does when its tab is closed.
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
