"""Program pacing, memory and handles while 200 preview viewers come and go, which must cost the program nothing.

`python -m benchmarks.system.viewers [--json]`
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from harness.channel import Studio, longest_gap, resident_bytes, sample_channel, wait_for
from harness.viewers.crowd import VIEWERS, Crowd

RUN_S = 20.0


def measure(seconds: float = RUN_S) -> dict[str, Any]:
    """Measure the program without viewers and with them, and the gateway's memory and handles after they have left.

    stall_ms: by how much the longest gap between two program frames was longer than a tick, as the compositor sends
    them and as the gateway's outputs receive them. visits: number of viewers that came, watched and left.
    """
    with sample_channel() as (run, _):
        with Crowd(run.base, run.token, run.channel) as first:  # the first viewers load what stays loaded
            time.sleep(5)
            first.leave()
        time.sleep(12)
        figures: dict[str, Any] = {
            "viewers": VIEWERS,
            "alone": _pacing(run, seconds),
            "before": _gateway_resources(run),
        }
        with Crowd(run.base, run.token, run.channel) as crowd:
            figures["with_viewers"] = _pacing(run, seconds)
            figures["during"] = _gateway_resources(run)
            figures["visits"] = crowd.leave()
        wait_for(lambda: not sum(run.state()["outputs"]["preview"]["viewers"].values()), 20, "all have left")
        time.sleep(3)
        figures["after"] = _gateway_resources(run)
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


def _gateway_resources(run: Studio) -> dict[str, float]:
    """Return the memory (MB), open files and threads of the gateway's process."""
    pid = run.pids()["gateway"]
    return {
        "resident_mb": round(resident_bytes(pid) / 1e6, 1),
        "handles": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=None if "--json" in sys.argv else 2))
