"""A whole channel: from a driver frame entering capture to the program, and on to a browser's canvas."""

import json
import os
import signal
import sys
import time
from typing import Any

import numpy as np

from harness import browser
from harness.channel import SERVICES, Studio, sample_channel, wait_for
from shared.runtime.clock import US

RUN_S = 15.0
BROWSER_RUN_S = 20.0


def measure() -> dict[str, Any]:
    """Milliseconds, median and 95th percentile, of the sample channel at 25 frames a second on this machine.

    capture, engine, compositor: what a stage adds to a driver frame, waiting included. program: captured to composed.
    without_engine: program less the engine's stage. canvas: captured to drawn in a real browser, by preview mode.
    on_air_s: from the command to a driven face. recovery_s: from kill -9 of a service to a driven face.
    """
    with sample_channel() as (run, on_air_s):
        figures: dict[str, Any] = {"program_fps": 25, "on_air_s": on_air_s, "alone": _stages(run)}
        if browser.installed() is None:
            figures["canvas"] = "no Chromium on this machine"
        else:
            figures["canvas"] = {mode: canvas_latency(run, mode) for mode in ("roi", "full")}
            figures["canvas_full_to_roi_p95"] = figures["canvas"]["full"]["p95"] / figures["canvas"]["roi"]["p95"]
            figures["with_browser_program"] = _stages(run)["program"]
        figures["recovery_s"] = {name: recovery(run, name) for name in SERVICES}
        figures["resident_mb"] = {name: row["rss"] >> 20 for name, row in run.state()["services"].items()}
    return figures


def _stages(run: Studio) -> dict[str, dict[str, float]]:
    spent: dict[str, list[float]] = {"capture": [], "engine": [], "compositor": [], "program": [], "without_engine": []}
    shown = 0
    for _, message in run.collect_messages("program", RUN_S):
        stamps, captured = message.stamps, message.facts["captured"]
        if not captured or captured == shown:
            continue
        shown = captured
        spent["capture"].append(stamps["tracked"] - captured)
        spent["engine"].append(stamps["engine"] - stamps["tracked"])
        spent["compositor"].append(stamps["composed"] - stamps["engine"])
        spent["program"].append(stamps["composed"] - captured)
        spent["without_engine"].append(spent["program"][-1] - spent["engine"][-1])
    return {name: percentiles(np.array(values) / 1000) for name, values in spent.items()}


def canvas_latency(run: Studio, mode: str) -> dict[str, float]:
    """Return the console's own measurement from capturing a driver frame to drawing its pixels, in milliseconds."""
    with browser.page(f"{run.base}/#token={run.token}") as page:
        wait_for(lambda: page.evaluate("!!window.studio"), 30, "the console has loaded")
        page.evaluate(f"localStorage.setItem('persona-studio-mode', '{mode}'); location.reload()")
        wait_for(lambda: (page.evaluate("window.studio?.latency()?.count") or 0) > 50, 30, "frames on the canvas")
        page.evaluate("window.studio.forget()")
        time.sleep(BROWSER_RUN_S)
        measured: dict[str, float] = page.evaluate("window.studio.latency()")
        assert page.evaluate("window.studio.shown()") == mode
    return {"p50": measured["median"], "p95": measured["p95"], "frames": measured["count"]}


def recovery(run: Studio, service: str) -> float:
    """Return the seconds from kill -9 of a service to a program frame with a driven face made after the kill.

    For the gateway: until the channel is on air again.
    """
    wait_for(lambda: run.state().get("on_air_state") == "ON AIR", 20, "on air")
    pid = run.pids()[service]
    os.kill(pid, signal.SIGKILL)
    died = time.monotonic()
    if service == "gateway":
        wait_for(lambda: run.state().get("on_air_state") == "ON AIR", 20, "gateway back")
        return time.monotonic() - died
    reader = run.read("program")
    while time.monotonic() - died < 20:
        reader.socket.poll(20)
        for message in reader.read():
            if message.pts > (died + 0.6) * US and message.facts["state"] == "live":
                reader.close()
                return time.monotonic() - died
    raise AssertionError(f"{service} did not come back")


def percentiles(values: Any) -> dict[str, float]:
    """Median and 95th percentile."""
    return {"p50": float(np.percentile(values, 50)), "p95": float(np.percentile(values, 95))}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=None if "--json" in sys.argv else 2))
