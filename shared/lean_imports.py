"""Imports of a package without further packages that it would load for abilities that the studio does not use.

Such a package is loaded only where it happens to be installed, and in every process again, which can take longer than
everything that is needed.
"""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType


class _Refusal(MetaPathFinder):
    """Answers one thread's imports of some packages as if they were not installed."""

    def __init__(self, packages: frozenset[str]) -> None:
        self._packages, self._thread = packages, threading.get_ident()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname.partition(".")[0] in self._packages and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is not loaded here", name=fullname)


@contextmanager
def imports_without(*packages: str) -> Iterator[None]:
    """In the block, let this thread's imports of these packages fail as if they were not installed.

    A package that is already loaded is found as usual. Other threads, and imports after the block, are not affected.
    """
    refusal = _Refusal(frozenset(packages))
    sys.meta_path.insert(0, refusal)
    try:
        yield
    finally:
        sys.meta_path.remove(refusal)
