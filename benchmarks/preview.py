"""Bytes per second of both preview modes: the whole studio on the sample avatars, watched over a real websocket.

`python -m benchmarks.preview [--json]`
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from services.gateway.preview import FULL, HEADER, LABEL, ROI
from shared.avatar_build import avatars_folder
from shared.sample_avatar import SAMPLE, SAMPLE_VIDEO, ensure_sample_avatars
from shared.settings import load_settings
from shared.token import operator_token

SECONDS = 6.0
START_S = 90.0
Measured = dict[str, dict[str, float]]


def measure(seconds: float = SECONDS) -> Measured:
    """By avatar: bytes per second of `full` and `roi`, pictures per second of each, and the share that ROI saves.

    The avatars are linked from the studio's home, or built when they are not there.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        _borrow_avatars(home)
        ensure_sample_avatars(home)
        return {avatar: _measure_avatar(Path(folder), home, avatar, seconds) for avatar in (SAMPLE, SAMPLE_VIDEO)}


def _borrow_avatars(home: Path) -> None:
    avatars_folder(home).mkdir(parents=True)
    for name in (SAMPLE, SAMPLE_VIDEO):
        theirs = avatars_folder(load_settings().home) / name
        if (theirs / "avatar.json").is_file():
            (avatars_folder(home) / name).symlink_to(theirs)


def _measure_avatar(folder: Path, home: Path, avatar: str, seconds: float) -> dict[str, float]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STUDIO_")}
    command = [sys.executable, "-m", "services.cli", "live", "--no-open", "--port", "0", "--avatar", avatar]
    with subprocess.Popen(
        command,
        env=environment | {"STUDIO_HOME": str(home), "STUDIO_RUN_ROOT": str(folder / "run")},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as studio:  # fmt: skip
        try:
            assert studio.stdout is not None
            found = next(match for line in studio.stdout if (match := re.search(r"http://([^/]+)/", line)))
            address, token = found[1], operator_token(home)
            _until_on_air(address, token)
            figures: dict[str, float] = {}
            for mode in ("full", "roi"):
                sent, pictures = _watch(address, token, mode, seconds)
                figures[f"{mode}_bytes_per_second"] = round(sent / seconds)
                figures[f"{mode}_pictures_per_second"] = round(pictures / seconds, 1)
            saved = 1 - figures["roi_bytes_per_second"] / figures["full_bytes_per_second"]
            figures["saved"] = round(saved, 4)
            return figures
        finally:
            studio.terminate()


def _until_on_air(address: str, token: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            headers = {"Authorization": f"Bearer {token}"}
            state = httpx.get(f"http://{address}/api/v1/channels/main", headers=headers).json()
            if state.get("on_air_state") == "ON AIR":
                return
        except (httpx.TransportError, ValueError):
            pass
        time.sleep(0.2)
    raise RuntimeError("the studio did not go on air")


def _watch(address: str, token: str, mode: str, seconds: float) -> tuple[int, int]:
    """Bytes and pictures that a viewer in this mode is sent."""
    url = f"ws://{address}/api/v1/channels/main/preview?mode={mode}"
    with connect(url, max_size=None, compression=None) as socket:
        socket.send(json.dumps({"token": token}))
        wanted = ROI if mode == "roi" else FULL
        while _next(socket)[0] != wanted:
            pass
        sent = pictures = 0
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            kind, size = _next(socket)
            if kind in (wanted, LABEL):
                sent += size
                pictures += kind == wanted
    return sent, pictures


def _next(socket: ClientConnection) -> tuple[int, int]:
    """Kind and size of the next binary message, acknowledged; says that it has every plate it is told of."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    figures = measure()
    if arguments.json:
        print(json.dumps(figures))
        return
    for avatar, row in figures.items():
        print(
            f"{avatar:14} full {row['full_bytes_per_second'] / 1e6:6.2f} MB/s   "
            f"roi {row['roi_bytes_per_second'] / 1e6:6.3f} MB/s   {row['saved']:.1%} less"
        )


if __name__ == "__main__":
    main()
