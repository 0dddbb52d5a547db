"""Offset of sound to video at a LiveKit subscriber: the time from a flash to its beep, once a second.

Positive values mean late sound. `--seconds 1200` runs for twenty minutes; the drift is extrapolated to an hour.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from harness.flash import FlashGateway, flash_gateway, preferred
from harness.viewers import subscriber
from publishing.token import viewer_token
from services.local.livekit_server import LiveKitServer, find_server

RUN_S = 30.0
SIZE_PX = 1280, 720
SETTLING_S = 3.0  # seconds until a receiver has set its buffers
LIMIT_MS = 40.0  # milliseconds


def measure(seconds: float = RUN_S) -> dict[str, Any]:
    """Milliseconds by percentile, the share within 40 ms, and the drift in milliseconds an hour."""
    preferred()
    if find_server() is None:
        return {"unavailable": "no LiveKit server: deploy/livekit.sh builds one"}
    with tempfile.TemporaryDirectory() as folder, LiveKitServer(Path(folder) / "livekit.log") as server:
        keys = {"livekit_url": server.url, "livekit_api_key": server.key, "livekit_api_secret": server.secret}
        with flash_gateway(SIZE_PX, livekit=True, **keys) as running:
            running.wait(lambda: running.livekit()["state"] == "live")
            got = subscriber_figures(running, seconds)
            dropped = running.livekit()["figures"]["dropped"]
    return {"seconds": seconds} | offsets(got) | {"sender_dropped": dropped}


def subscriber_figures(running: FlashGateway, seconds: float) -> subscriber.Received:
    """Return what a subscriber receives from the gateway in `seconds`."""
    settings = running.settings
    return subscriber.finished_subscriber(
        subscriber.start(settings.livekit_url, viewer_token(settings, 10).token, seconds)
    )


def offsets(got: subscriber.Received) -> dict[str, Any]:
    """Return the distribution of the time from flash to beep."""
    rows = [(at, offset) for at, offset in got.offsets() if at > SETTLING_S]
    if len(rows) < 3:
        return {"pairs": len(rows)}
    at, late = np.array(rows).T
    p1, p5, p50, p95, p99 = np.percentile(late, (1, 5, 50, 95, 99))
    return {
        "pairs": len(rows),
        "ms": {name: round(float(value), 1) for name, value in zip(
            ("p1", "p5", "p50", "p95", "p99"), (p1, p5, p50, p95, p99), strict=True)},
        "first_quarter_ms": round(float(np.median(late[: max(1, len(late) // 4)])), 1),
        "last_quarter_ms": round(float(np.median(late[-max(1, len(late) // 4) :])), 1),
        "within_40_ms": round(float((np.abs(late) <= LIMIT_MS).mean()), 3),
        "drift_ms_per_hour": round(float(np.polyfit(at, late, 1)[0]) * 3600, 1),
    }  # fmt: skip
