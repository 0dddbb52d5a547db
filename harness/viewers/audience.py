"""Viewers of one watch link that stay connected, run in a separate process."""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect

from services.gateway.preview.encoder import FULL, HEADER, LABEL, ROI, SOUND

FRAMES = (FULL, ROI)


@dataclass
class AudienceCounts:
    """Sums over all viewers while counting. viewers: still connected. fewest: frames of the viewer that got fewest."""

    seconds: float = 0.0
    viewers: int = 0
    frames: int = 0
    fewest: int = 0
    video_bytes: int = 0
    sound_bytes: int = 0


class Spectators:
    """`count` viewers in a separate process.

    The constructor returns once each has received a ROI frame; `leave` disconnects them. listening: whether they
    receive sound.
    """

    def __init__(self, base: str, channel: str, token: str, count: int, *, listening: bool = False) -> None:
        address = f"{base.replace('http', 'ws', 1)}/api/v1/channels/{channel}/watch"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.viewers.audience", address, str(count), str(int(listening))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        self._say(token)
        assert self._process.stdout
        self._process.stdout.readline()  # one line when all viewers are connected

    def begin(self) -> None:
        """Reset the counts and begin counting."""
        self._say("begin")

    def leave(self) -> AudienceCounts:
        """Disconnect all viewers and return what was sent to them since `begin`."""
        said, _ = self._process.communicate("end\n", timeout=120)
        return AudienceCounts(**json.loads(said))

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class _Seat:
    """A viewer that acknowledges every message without drawing it. there: set at the first ROI frame."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self.frames = self.video_bytes = self.sound_bytes = 0

    async def watch(self, address: str, token: str, listening: bool) -> None:
        async with connect(address, max_size=None, compression=None) as socket:
            await socket.send(json.dumps({"token": token}))
            await socket.send(json.dumps({"listen": listening}))
            async for data in socket:
                await self._take(socket, data)

    async def _take(self, socket: ClientConnection, data: str | bytes) -> None:
        if isinstance(data, str):
            if hello := json.loads(data).get("hello"):
                await socket.send(json.dumps({"plate": hello["number"]}))
            return
        kind = HEADER.unpack_from(data)[0]
        if kind == SOUND:
            self.sound_bytes += len(data)
            await socket.send('{"sounds": 1}')
        elif kind in (*FRAMES, LABEL):
            self.video_bytes += len(data)
        if kind in FRAMES:
            self.frames += 1
            if kind == ROI:
                self.there.set()
            await socket.send('{"ack": 1}')


async def stay_until_told(address: str, count: int, listening: bool) -> AudienceCounts:
    """Connect `count` viewers and count what they receive between two lines on standard input.

    The line before those is the token of the watch link.
    """
    loop = asyncio.get_running_loop()

    async def line() -> str:
        return str(await loop.run_in_executor(None, sys.stdin.readline)).strip()

    token = await line()
    seats = [_Seat() for _ in range(count)]
    tasks = [asyncio.create_task(seat.watch(address, token, listening)) for seat in seats]
    await asyncio.gather(*(seat.there.wait() for seat in seats))
    print("there", flush=True)
    await line()
    for seat in seats:
        seat.frames = seat.video_bytes = seat.sound_bytes = 0
    begun = time.monotonic()
    await line()
    seconds = time.monotonic() - begun
    watching = [seat for seat, task in zip(seats, tasks, strict=True) if not task.done()]
    for task in tasks:
        task.cancel()
    counted: dict[str, Any] = {
        name: sum(getattr(seat, name) for seat in seats) for name in ("frames", "video_bytes", "sound_bytes")
    }
    return AudienceCounts(seconds, len(watching), fewest=min(seat.frames for seat in seats), **counted)


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(stay_until_told(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1")))))
