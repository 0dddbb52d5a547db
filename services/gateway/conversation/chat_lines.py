"""Lines of a livestream's chat: so many a minute, answered one after the other when no one else talks with the host."""

import math
import time
from collections import deque
from collections.abc import Callable

from shared.errors import StudioError

BURST = 5
SECONDS_A_LINE = 2.0
MOST_WAITING = 8
ANSWER_S = 10.0  # about as long as an answer is heard


class ChatBusyError(StudioError):
    """A line came too soon. retry_after_s: when it may come."""

    def __init__(self, sentence: str, retry_after_s: float) -> None:
        super().__init__(sentence)
        self.retry_after_s = max(1, math.ceil(retry_after_s))


class ChatLines:
    """The lines that wait. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: deque[str] = deque()
        self._free_at = clock() - BURST * SECONDS_A_LINE  # when as many lines as there may be were taken

    def add(self, author: str, text: str) -> int:
        """Take a line in; return how many wait before it. Raises ChatBusyError."""
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
        """The line that is to be answered now."""
        return self._waiting.popleft() if self._waiting else None
