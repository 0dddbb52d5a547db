"""Stop signals of a process: Ctrl-C, SIGTERM and, for programs with a terminal, SIGHUP."""

import signal
from collections.abc import Callable, Sequence

SERVICE = (signal.SIGINT, signal.SIGTERM)
TERMINAL = (*SERVICE, signal.SIGHUP)


class StopSignals:
    """Counts the stop signals received since its creation; true after the first. Create it in the main thread."""

    def __init__(self, numbers: Sequence[signal.Signals], then: Callable[[], None] | None = None) -> None:
        """then: called in the main thread with every signal."""
        self.count = 0
        self._then = then
        for number in numbers:
            signal.signal(number, self._note)

    def __bool__(self) -> bool:
        return self.count > 0

    def _note(self, *_: object) -> None:
        self.count += 1
        if self._then:
            self._then()
