"""Cost of an audience.

Viewers by a watch link on loopback, each with the ROI preview, and the pace of the program meanwhile.

`python -m benchmarks.system.audience [--viewers N] [--json]`
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import httpx2

from harness.channel import Studio, sample_channel, wait_for
from harness.viewers.audience import Spectators
from shared.avatar.samples import SAMPLE_VIDEO

VIEWERS = 50
RUN_S = 20.0
LIFE_S = 3600


def measure(viewers: int = VIEWERS, seconds: float = RUN_S) -> dict[str, Any]:
    """Measure a channel without viewers, with viewers who only see, and with viewers who also listen.

    The avatar is `sample-video`, with its full body.

    viewers_a_core: number of viewers divided by the cores that they add to the gateway's use. fewest_fps: frame rate of
    the viewer that got the fewest frames. saved: share of the bytes of whole frames that the ROI preview saves.
    plate_bytes: size of the plate, which a viewer fetches once. whole_frames_s: seconds after which plate and ROI
    together are fewer bytes than whole frames.
    """
    with sample_channel() as (run, _):
        run.patch(avatar=SAMPLE_VIDEO)
        wait_for(lambda: run.state().get("program", {}).get("avatar") == SAMPLE_VIDEO, 20, "the full body is on air")
        link = _link(run, viewers)
        time.sleep(3)
        figures: dict[str, Any] = {"viewers": viewers, "alone": _watched(run, seconds)}
        base = figures["alone"]["gateway_cores"]
        for name, listening in (("seeing", False), ("seeing_and_hearing", True)):
            with Spectators(run.base, run.channel, link, viewers, listening=listening) as spectators:
                time.sleep(3)
                spectators.begin()
                row = _watched(run, seconds)
                dropped = run.state()["audience"]["dropped"]
                counts = spectators.leave()
            added = max(1e-3, row["gateway_cores"] - base)
            figures[name] = row | {
                "watching": counts.viewers,
                "fps": round(counts.frames / counts.seconds / viewers, 2),
                "fewest_fps": round(counts.fewest / counts.seconds, 2),
                "video_bytes_per_second": round(counts.video_bytes / counts.seconds / viewers),
                "sound_bytes_per_second": round(counts.sound_bytes / counts.seconds / viewers),
                "dropped": dropped,
                "viewers_a_core": round(viewers / added),
            }
        rates = run.state()["outputs"]["preview"]["bytes_per_second"]
        plate = (run.home / "avatars" / SAMPLE_VIDEO / "plate.mjpg").stat().st_size
    seen = figures["seeing"]["video_bytes_per_second"]
    return figures | {
        "full_bytes_per_second": rates["full"],
        "saved": round(1 - seen / rates["full"], 4),
        "plate_bytes": plate,
        "whole_frames_s": round(plate / max(1, rates["full"] - seen), 1),
    }


def _link(run: Studio, viewers: int) -> str:
    """Create a watch link and return its token."""
    answer = httpx2.post(
        f"{run.base}/api/v1/channels/{run.channel}/watch-links", headers={"Authorization": f"Bearer {run.token}"},
        json={"viewers": viewers, "expires_s": LIFE_S}, timeout=10, trust_env=False,
    )  # fmt: skip
    return str(answer.raise_for_status().json()["url"]).partition("#link=")[2]


def _watched(run: Studio, seconds: float) -> dict[str, Any]:
    """Measure program frames a second on the wire, ticks that the gateway made up, and its processor time in cores."""
    pid, made_up = run.pids()["gateway"], run.state()["program"]["repeated"]
    begun, used = time.monotonic(), _cpu_s(pid)
    frames = run.collect_messages("program", seconds)
    cores = (_cpu_s(pid) - used) / (time.monotonic() - begun)
    state = run.state()["program"]
    ticks = [message.facts["tick"] for _, message in frames]
    return {
        "program_fps": round((ticks[-1] - ticks[0]) / (frames[-1][0] - frames[0][0]), 2),
        "ticks_missing": ticks[-1] - ticks[0] + 1 - len(ticks),
        "ticks_made_up": state["repeated"] - made_up,
        "gateway_stall_ms": state["stall"],
        "gateway_cores": round(cores, 3),
    }


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    given = argparse.ArgumentParser(prog="python -m benchmarks.system.audience", description=__doc__)
    given.add_argument("--viewers", type=int, default=VIEWERS)
    given.add_argument("--seconds", type=float, default=RUN_S)
    given.add_argument("--json", action="store_true")
    asked = given.parse_args()
    print(json.dumps(measure(asked.viewers, asked.seconds), indent=None if asked.json else 2))
