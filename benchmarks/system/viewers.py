"""Joining and leaving is free: program pacing, memory and handles with 200 viewers of the preview coming and going.

`python -m benchmarks.system.viewers [--json]`
"""

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from harness.channel import Studio, longest_gap, resident_bytes, sample_channel, wait_for
from harness.crowd import SOCKETS, VIEWERS, Crowd
from services.gateway.preview.encoder import FULL, HEADER, ROI

RUN_S = 20.0
STAY, AWAY = (0.2, 1.5), (0.5, 4.0)  # seconds a viewer watches, and is away before it comes again


def measure(seconds: float = RUN_S) -> dict[str, Any]:
    """The same measurement without viewers and with them, and what is left when they have gone.

    stall_ms: by how much the longest gap between two program frames was longer than a tick, as the compositor sends
    them and as the gateway's outputs are given them. visits: viewers that came, watched and left.
    """
    with sample_channel() as (run, _):
        with Crowd(run.base, run.token, run.channel) as first:  # the first ones load what stays loaded
            time.sleep(5)
            first.leave()
        time.sleep(12)
        figures: dict[str, Any] = {"viewers": VIEWERS, "alone": _pacing(run, seconds), "before": _lock_is_held(run)}
        with Crowd(run.base, run.token, run.channel) as crowd:
            figures["with_viewers"] = _pacing(run, seconds)
            figures["during"] = _lock_is_held(run)
            figures["visits"] = crowd.leave()
        wait_for(lambda: not sum(run.state()["outputs"]["preview"]["viewers"].values()), 20, "all have left")
        time.sleep(3)
        figures["after"] = _lock_is_held(run)
    return figures


def _pacing(run: Studio, seconds: float) -> dict[str, Any]:
    before = run.state()["program"]["repeated"]
    frames = run.collect_messages("program", seconds)
    ticks = [message.facts["tick"] for _, message in frames]
    state = run.state()["program"]
    tick = 1000 / 25
    return {
        "compositor_stall_ms": round(max(0.0, longest_gap(frames) * 1000 - tick), 1),
        "gateway_stall_ms": state["stall"],
        "ticks_missing": ticks[-1] - ticks[0] + 1 - len(ticks),
        "ticks_made_up": state["repeated"] - before,
    }


def _lock_is_held(run: Studio) -> dict[str, float]:
    """What the gateway's process holds."""
    pid = run.pids()["gateway"]
    return {
        "resident_mb": round(resident_bytes(pid) / 1e6, 1),
        "handles": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
    }


class _Visits:
    """How many there were, and when there were enough."""

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


async def crowd(address: str, count: int) -> int:
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
            await asyncio.wait_for(visits.over.wait(), chance.uniform(*AWAY))
            return
        except TimeoutError:
            pass
        try:
            await asyncio.wait_for(_visit(f"{address}/{SOCKETS[number % len(SOCKETS)]}", token), chance.uniform(*STAY))
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
    if "--crowd" in sys.argv:
        print(asyncio.run(crowd(sys.argv[2], int(sys.argv[3]))))
    else:
        print(json.dumps(measure(), indent=None if "--json" in sys.argv else 2))
