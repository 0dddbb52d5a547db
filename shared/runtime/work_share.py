"""Share of its time that a thread spends working."""

import threading
import time


class WorkShare:
    """A context manager around a thread's work; another thread may read the share."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._worked = 0.0
        self._began: float | None = None
        self._asked = time.monotonic()

    def __enter__(self) -> None:
        with self._guard:
            self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        with self._guard:
            assert self._began is not None
            self._worked += time.monotonic() - self._began
            self._began = None

    def taken_share(self) -> float:
        """Return the share of the time since the last call that was spent working, 0 to 1, including current work."""
        at = time.monotonic()
        with self._guard:
            worked, passed = self._worked, at - self._asked
            if self._began is not None:
                worked, self._began = worked + at - self._began, at
            self._worked, self._asked = 0.0, at
        return min(1.0, worked / passed) if passed > 0 else 0.0
