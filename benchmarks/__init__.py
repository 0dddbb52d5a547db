"""Where the README's figures come from: each module measures one thing against a reference in the same run."""

from importlib import import_module
from inspect import signature
from typing import Any

NAMES = (
    "transport",
    "engine",
    "compositor",
    "live",
    "preview",
    "viewers",
    "voice",
    "livekit",
    "av",
    "jobs",
    "beside",
    "liveportrait",
)


def measure(name: str, seconds: float | None = None) -> dict[str, Any]:
    """Run one benchmark, for so long where it measures over a time, and return its figures."""
    run = import_module(f"benchmarks.{name}").measure
    timed = seconds is not None and "seconds" in signature(run).parameters
    figures: dict[str, Any] = run(seconds=seconds) if timed else run()
    return figures
