"""An event loop whose clock goes on only while nothing else is left to do, and then at once to the next timer."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _LeapingSelector(selectors.DefaultSelector):
    """Does not wait for what a timer waits for: it sets the loop's clock to it."""

    loop: "DrivenLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.loop.at += timeout
        return ready


class DrivenLoop(asyncio.SelectorEventLoop):
    """at: its clock, in seconds."""

    def __init__(self) -> None:
        self.at = 1000.0
        selector = _LeapingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.at


def run_driven(work: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run` on such a loop: seconds of waiting take none, and are exact."""
    with asyncio.Runner(loop_factory=DrivenLoop) as runner:
        return runner.run(work)
