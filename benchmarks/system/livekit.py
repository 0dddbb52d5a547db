"""Publishing to LiveKit: a frame's cost by buffer type, each output's cost, and how late viewers see it.

Frame costs are ratios to one copy of the same frame's I420 planes; processor time is in percent of one core.
"""

import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from livekit import rtc

from benchmarks.system.av import offsets, subscriber_figures
from benchmarks.system.preview import watch_preview
from harness.flash import FlashFrames, FlashGateway, flash_gateway, preferred
from publishing.media import livekit_frame
from services.local.livekit_server import LiveKitServer, find_server

SIZES = {"720p25": (1280, 720), "1080p25": (1920, 1080)}
ROUNDS = 60
RUN_S = 8.0
WATCHED_S = 20.0


def measure(seconds: float = RUN_S) -> dict[str, Any]:
    """Figures by size: frame cost by buffer type, gateway's processor time by output, latency and sync."""
    figures: dict[str, Any] = {name: {"frame_cost": frame_costs(*size)} for name, size in SIZES.items()}
    preferred()
    if find_server() is None:
        return figures | {"unavailable": "no LiveKit server: deploy/livekit.sh builds one"}
    with tempfile.TemporaryDirectory() as folder, LiveKitServer(Path(folder) / "livekit.log") as server:
        keys = {"livekit_url": server.url, "livekit_api_key": server.key, "livekit_api_secret": server.secret}
        for name, size in SIZES.items():
            with flash_gateway(size, **keys) as running:
                figures[name]["gateway_cpu_percent"] = output_costs(running, seconds)
                figures[name]["subscriber"] = at_subscriber(running)
    return figures


def frame_costs(width: int, height: int) -> dict[str, float]:
    """Measure the cost of passing one frame to the library, relative to a copy of its I420 planes.

    The figures are medians of interleaved calls.
    """
    i420 = FlashFrames((width, height)).frame_at(1, Fraction(25))
    rgb = np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420), np.uint8)
    rgba = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA), np.uint8)
    source, kinds = rtc.VideoSource(width, height), rtc.VideoBufferType
    target = np.empty_like(i420)

    def packed(kind: "rtc.VideoBufferType.ValueType", data: Any) -> Callable[[], None]:
        return lambda: source.capture_frame(rtc.VideoFrame(width, height, kind, data))

    def converted() -> None:
        made = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)
        source.capture_frame(livekit_frame(made))

    ways: dict[str, Callable[[], None]] = {
        "copy": lambda: np.copyto(target, i420),
        "i420_own_planes": lambda: source.capture_frame(livekit_frame(i420)),
        "i420_hidden_copy": packed(kinds.I420, i420.data),
        "rgb24": packed(kinds.RGB24, rgb.reshape(-1).data),
        "rgb24_hidden_copy": packed(kinds.RGB24, rgb.data),
        "rgba": packed(kinds.RGBA, rgba.reshape(-1).data),
        "rgb24_converted_by_opencv": converted,
    }
    times = _interleaved(ways)
    copy = times.pop("copy")
    return {"copy_us": round(copy * 1e6, 1)} | {name: round(value / copy, 2) for name, value in times.items()}


def _interleaved(ways: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Return the median seconds of each, called in turns so that a busy moment affects all."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - begun)
    return {name: float(np.median(values)) for name, values in taken.items()}


def output_costs(running: FlashGateway, seconds: float) -> dict[str, float]:
    """Measure the gateway in percent of a core: without an output, and what each output adds."""
    time.sleep(1)
    nothing = _percent(running, seconds)
    costs = {"no_output": nothing}
    running.patch(livekit=True).raise_for_status()
    running.wait(lambda: running.livekit()["state"] == "live")
    time.sleep(2)
    costs["livekit"] = _percent(running, seconds) - nothing
    running.patch(livekit=False).raise_for_status()
    running.wait(lambda: running.livekit()["state"] == "off")
    running.post("recording").raise_for_status()
    time.sleep(1)
    costs["recording"] = _percent(running, seconds) - nothing
    running.http.delete(f"/channels/{running.settings.channel}/recording").raise_for_status()
    viewer = threading.Thread(target=watch_preview, args=(running.address, running.token, "full", seconds + 2))
    viewer.start()
    time.sleep(1)
    costs["preview"] = _percent(running, seconds) - nothing
    viewer.join()
    return {name: round(value, 1) for name, value in costs.items()}


def _percent(running: FlashGateway, seconds: float) -> float:
    begun, used = time.monotonic(), running.cpu()
    time.sleep(seconds)
    return (running.cpu() - used) / (time.monotonic() - begun) * 100


def at_subscriber(running: FlashGateway) -> dict[str, Any]:
    """Measure glass to glass: from the capture time that each frame carries to its arrival, on one machine's clock."""
    running.patch(livekit=True).raise_for_status()
    running.wait(lambda: running.livekit()["state"] == "live")
    got = subscriber_figures(running, WATCHED_S)
    ages = np.array([row[5] for row in got.frames if row[0] > 2 and row[5] >= 0])
    full = next((row[0] for row in got.frames if (row[1], row[2]) == running.program.size), None)
    p50, p95 = np.percentile(ages, (50, 95)) if len(ages) else (0.0, 0.0)
    return {
        "first_full_frame_s": round(full, 2) if full is not None else None,
        "frames_per_second": round(len(got.frames) / max(1.0, WATCHED_S - got.frames[0][0]), 1),
        "glass_to_glass_ms": {"p50": round(float(p50), 1), "p95": round(float(p95), 1)},
        "sound_after_video": offsets(got),
    }
