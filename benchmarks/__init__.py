"""Where the README's figures come from: each module measures one thing against a reference in the same run."""

from importlib import import_module
from inspect import signature
from typing import Any

MODULES = {
    "transport": "benchmarks.system.transport",
    "engine": "benchmarks.engines.engine",
    "face": "benchmarks.face.tracking",
    "compositor": "benchmarks.system.compositor",
    "live": "benchmarks.system.live",
    "preview": "benchmarks.system.preview",
    "driving": "benchmarks.system.driving",
    "viewers": "benchmarks.system.viewers",
    "voice": "benchmarks.system.voice",
    "livekit": "benchmarks.system.livekit",
    "av": "benchmarks.system.av",
    "jobs": "benchmarks.system.jobs",
    "beside": "benchmarks.system.beside",
    "liveportrait": "benchmarks.engines.liveportrait",
    "personalive": "benchmarks.engines.personalive",
}
NAMES = tuple(MODULES)


def measure(name: str, **given: Any) -> dict[str, Any]:
    """Run one benchmark with those of the options given (not None) that it takes, and return its figures."""
    run = import_module(MODULES[name]).measure
    taken = {key: value for key, value in given.items() if value is not None and takes(name, key)}
    figures: dict[str, Any] = run(**taken)
    return figures


def takes(name: str, option: str) -> bool:
    """Whether a benchmark has an option: seconds, peer or size."""
    return option in signature(import_module(MODULES[name]).measure).parameters
