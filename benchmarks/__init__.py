"""Benchmarks that produce the figures of docs/performance.md.

Each module measures one aspect of the studio against a reference in the same run.
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
# Python modules that a benchmark needs and a user's installation does not include. PyTorch is not listed: a benchmark
# that needs it reports its absence itself.
NEEDED: dict[str, tuple[str, ...]] = {"transport": ("imagezmq",), "voice": ("scipy",)}


def check_installed(names: Iterable[str]) -> None:
    """Raise StudioError if a module that one of these benchmarks needs is missing.

    The error names the module and the command that installs it.
    """
    for name in names:
        for module in NEEDED.get(name, ()):
            if find_spec(module) is None:
                raise StudioError(
                    f"The benchmark {name} needs {module}, which is not installed; `make setup-dev` installs it."
                )


def measure(name: str, **given: Any) -> dict[str, Any]:
    """Run one benchmark and return its figures.

    given: options; those that are None or that the benchmark does not accept are left out.
    """
    run = import_module(MODULES[name]).measure
    taken = {key: value for key, value in given.items() if value is not None and takes(name, key)}
    figures: dict[str, Any] = run(**taken)
    return figures


def takes(name: str, option: str) -> bool:
    """Return whether a benchmark accepts an option, such as seconds, peer or size."""
    return option in signature(import_module(MODULES[name]).measure).parameters
