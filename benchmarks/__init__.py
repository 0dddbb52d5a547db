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
    "personalive",
)


def measure(name: str, **given: Any) -> dict[str, Any]:
    """Run one benchmark with those of the options given (not None) that it takes, and return its figures."""
    run = import_module(f"benchmarks.{name}").measure
    taken = {key: value for key, value in given.items() if value is not None and takes(name, key)}
    figures: dict[str, Any] = run(**taken)
    return figures


def takes(name: str, option: str) -> bool:
    """Whether a benchmark has an option: seconds, peer or size."""
    return option in signature(import_module(f"benchmarks.{name}").measure).parameters
