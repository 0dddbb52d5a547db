"""Where the README's figures come from: each module measures one thing against a reference in the same run."""

from importlib import import_module
from typing import Any

NAMES = ("transport", "engine", "compositor", "live", "preview", "viewers", "voice")


def measure(name: str) -> dict[str, Any]:
    """Run one benchmark and return its figures."""
    figures: dict[str, Any] = import_module(f"benchmarks.{name}").measure()
    return figures
