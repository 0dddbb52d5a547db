"""Bytes per second of both preview modes: the whole studio on the sample avatars, watched over a real websocket.

`python -m benchmarks.system.preview [--json]`
"""

import json
import sys
import time
from functools import partial
from typing import Any

from websockets.sync.client import ClientConnection, connect

from harness.channel import Studio, sample_channel, wait_for
from services.gateway.preview.encoder import FULL, HEADER, LABEL, ROI
from shared.avatar.samples import SAMPLE, SAMPLE_VIDEO

RUN_S = 6.0
Measured = dict[str, dict[str, float]]


def measure(seconds: float = RUN_S) -> Measured:
    """Return by avatar: bytes and frames per second of `full` and `roi`, and the share of bytes that ROI saves."""
    figures: Measured = {}
    with sample_channel() as (run, _):
        address = run.base.removeprefix("http://")
        for avatar in (SAMPLE, SAMPLE_VIDEO):
            run.patch(avatar=avatar)
            wait_for(partial(_shows, run, avatar), 20, "the avatar is on air")
            row: dict[str, float] = {}
            for mode in ("full", "roi"):
                sent, frames = watch_preview(address, run.token, mode, seconds)
                row[f"{mode}_bytes_per_second"] = round(sent / seconds)
                row[f"{mode}_frames_per_second"] = round(frames / seconds, 1)
            row["saved"] = round(1 - row["roi_bytes_per_second"] / row["full_bytes_per_second"], 4)
            figures[avatar] = row
    return figures


def _shows(run: Studio, avatar: str) -> bool:
    state = run.state()
    return state.get("on_air_state") == "ON AIR" and state["program"]["avatar"] == avatar


def watch_preview(address: str, token: str, mode: str, seconds: float) -> tuple[int, int]:
    """Watch the preview in this mode and return the bytes and frames received."""
    url = f"ws://{address}/api/v1/channels/main/preview?mode={mode}"
    with connect(url, max_size=None, compression=None) as socket:
        socket.send(json.dumps({"token": token}))
        wanted = ROI if mode == "roi" else FULL
        while _next(socket)[0] != wanted:
            pass
        sent = frames = 0
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            kind, size = _next(socket)
            if kind in (wanted, LABEL):
                sent += size
                frames += kind == wanted
    return sent, frames


def _next(socket: ClientConnection) -> tuple[int, int]:
    """Return kind and size of the next binary message, and acknowledge it and every plate received."""
    while True:
        data: Any = socket.recv(10)
        if isinstance(data, str):
            hello = json.loads(data).get("hello")
            if hello:
                socket.send(json.dumps({"plate": hello["number"]}))
            continue
        kind = HEADER.unpack_from(data)[0]
        if kind in (FULL, ROI):
            socket.send(json.dumps({"ack": 1}))
        return kind, len(data)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=None if "--json" in sys.argv else 2))
