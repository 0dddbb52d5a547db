"""Where the figures of docs/performance.md come from.

Each module measures one thing against a reference in the same run.
"""

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from typing import Any

from shared.errors import StudioError

MODULES = {
    "transport": "benchmarks.system.transport",
    "engine": "benchmarks.engines.engine",
    "face": "benchmarks.face.tracking",
    "film": "benchmarks.film.understanding",
    "compositor": "benchmarks.system.compositor",
    "live": "benchmarks.system.live",
    "preview": "benchmarks.system.preview",
    "driving": "benchmarks.system.driving",
    "rtsp": "benchmarks.system.rtsp",
    "viewers": "benchmarks.system.viewers",
    "audience": "benchmarks.system.audience",
    "voice": "benchmarks.system.voice",
    "text": "benchmarks.system.text",
    "talk": "benchmarks.system.talk",
    "livekit": "benchmarks.system.livekit",
    "av": "benchmarks.system.av",
    "jobs": "benchmarks.system.jobs",
    "beside": "benchmarks.system.beside",
    "sessions": "benchmarks.sessions.measure",
    "dhlive": "benchmarks.engines.dhlive",
    "liveportrait": "benchmarks.engines.liveportrait",
    "personalive": "benchmarks.engines.personalive",
    "stableavatar": "benchmarks.engines.stableavatar",
}
NAMES = tuple(MODULES)
# Modules that a benchmark needs and a user's install lacks. PyTorch is none of them: without it a benchmark says so
# itself.
NEEDED: dict[str, tuple[str, ...]] = {"transport": ("imagezmq",), "voice": ("scipy",)}


def check_installed(names: Iterable[str]) -> None:
    """Raise StudioError, one sentence with the command that helps, where one of these benchmarks lacks a package."""
    for name in names:
        for module in NEEDED.get(name, ()):
            if find_spec(module) is None:
                raise StudioError(
                    f"The benchmark {name} needs {module}, which is not installed; `make setup-dev` brings it."
                )


def measure(name: str, **given: Any) -> dict[str, Any]:
    """Run one benchmark with those of the options given (not None) that it takes, and return its figures."""
    run = import_module(MODULES[name]).measure
    taken = {key: value for key, value in given.items() if value is not None and takes(name, key)}
    figures: dict[str, Any] = run(**taken)
    return figures


def takes(name: str, option: str) -> bool:
    """Whether a benchmark has an option: seconds, peer or size."""
    return option in signature(import_module(MODULES[name]).measure).parameters
