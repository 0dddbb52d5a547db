"""A pickle that would run something."""

from pathlib import Path
from typing import Any


class Evil:
    """A file that would run something when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("run-by-a-template"),)
