"""An event loop whose clock advances only when nothing else is left to do, and then directly to the next timer."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _LeapingSelector(selectors.DefaultSelector):
    """Selector that advances the loop's clock to the next timer instead of waiting for it."""

    loop: "DrivenLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.loop.at += timeout
        return ready


class DrivenLoop(asyncio.SelectorEventLoop):
    """Event loop with a driven clock. at: its time in seconds."""

    def __init__(self) -> None:
        self.at = 1000.0
        selector = _LeapingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.at


def run_driven(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine as `asyncio.run` does, on such a loop: waiting takes no time, and is exact."""
    with asyncio.Runner(loop_factory=DrivenLoop) as runner:
        return runner.run(work)
