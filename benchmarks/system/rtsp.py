"""`studio bench rtsp`: from choosing a network camera to its first frame, against FFmpeg's own way of opening one.

Each start joins the camera's stream at another point between two key frames, so that the wait for the next one varies.
"""

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import av

from harness.rtsp_camera import FPS, rtsp_camera
from services.capture.source import DriverReader
from services.local.samples import ensure_samples
from shared.driver_ref import DriverRef
from shared.runtime.wake import Wake

STARTS, KEY_FRAMES, LONGEST_S = 8, 50, 30.0
STEP_S = (
    1.618 * KEY_FRAMES / FPS
)  # between the points of two starts: an odd share of the key frames' distance, so that points do not repeat


def measure() -> dict[str, Any]:
    """Medians and longest waits, seconds, of STARTS starts; connections of one start."""
    with TemporaryDirectory() as folder:
        ensure_samples(Path(folder), lambda stage, done: None)
        film = Path(folder) / "drivers" / "sample.mp4"
        ours, theirs, opened = [], [], 0
        for number in range(STARTS):
            with rtsp_camera(film, key_frames=KEY_FRAMES) as camera:
                time.sleep(number * STEP_S % (KEY_FRAMES / FPS))
                ours.append(_driven(camera.address))
                opened = camera.opened
            with rtsp_camera(film, key_frames=KEY_FRAMES) as camera:
                time.sleep(number * STEP_S % (KEY_FRAMES / FPS))
                theirs.append(_by_default(camera.address))
    return {
        "seconds": {"median": median(ours), "longest": max(ours)},
        "ffmpeg's own": {"median": median(theirs), "longest": max(theirs)},
        "key frames apart, s": KEY_FRAMES / FPS,
        "connections": opened,
    }


def _driven(address: str) -> float:
    driver = DriverReader(DriverRef.parse(address), loop=True, sample=Path("none"), wake=Wake())
    started = time.monotonic()
    driver.start()
    while not driver.frames and time.monotonic() - started < LONGEST_S:
        time.sleep(0.002)
    driver.close()
    return time.monotonic() - started


def _by_default(address: str) -> float:
    started = time.monotonic()
    with av.open(address, options={"rtsp_transport": "tcp"}, timeout=(10, 10)) as container:
        next(container.decode(video=0))
    return time.monotonic() - started
