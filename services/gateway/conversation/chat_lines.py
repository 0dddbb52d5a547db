"""Queue for the chat lines of a livestream, with a rate limit.

The host answers them one after the other while no one else talks with it.
"""

import math
import time
from collections import deque
from collections.abc import Callable

from shared.errors import StudioError

BURST = 5
SECONDS_A_LINE = 2.0
MOST_WAITING = 8
ANSWER_S = 10.0  # approximate duration of a spoken answer


class ChatBusyError(StudioError):
    """Raised when chat lines arrive too fast or too many are waiting. retry_after_s: seconds to wait, at least 1."""

    def __init__(self, sentence: str, retry_after_s: float) -> None:
        super().__init__(sentence)
        self.retry_after_s = max(1, math.ceil(retry_after_s))


class ChatLines:
    """The waiting chat lines. clock: returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: deque[str] = deque()
        self._free_at = clock() - BURST * SECONDS_A_LINE  # rate limit: grows by SECONDS_A_LINE with each accepted line

    def add(self, author: str, text: str) -> int:
        """Queue a line; return how many wait before it. Raises ChatBusyError."""
        at = self._clock()
        free_at = max(self._free_at, at - BURST * SECONDS_A_LINE)
        if (wait := free_at + SECONDS_A_LINE - at) > 0:
            raise ChatBusyError("Chat lines come too fast; send at most one every two seconds.", wait)
        if len(self._waiting) >= MOST_WAITING:
            raise ChatBusyError(f"{MOST_WAITING} chat lines wait for the host already; send this one later.", ANSWER_S)
        self._free_at = free_at + SECONDS_A_LINE
        self._waiting.append(f"{author}: {text}" if author else text)
        return len(self._waiting) - 1

    def next(self) -> str | None:
        """Remove and return the line to be answered next, None if none is waiting."""
        return self._waiting.popleft() if self._waiting else None
