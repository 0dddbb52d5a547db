"""A pickle that would run code."""

from pathlib import Path
from typing import Any


class Evil:
    """An object that runs a function when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("run-by-a-template"),)
