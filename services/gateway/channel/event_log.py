"""The channel's event log, which the console shows: one sentence per event, newest last."""

import time
from collections import deque
from dataclasses import dataclass

from shared.runtime.logs import get_logger
from shared.runtime.shown_text import one_line

log = get_logger()
KEPT = 50
LONGEST = 500  # characters of an event


@dataclass(frozen=True, slots=True)
class Event:
    """An event as pages show it.

    number: increases with each event, so that a page knows which events it has shown. at: wall clock seconds. kind:
    info, warning or error.
    """

    number: int
    at: float
    kind: str
    text: str


class EventLog:
    """The last KEPT events. Any thread may call `add`; `events` returns a snapshot."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, text: str, kind: str = "info") -> None:
        """Add an event, one sentence, and log it. kind: info, warning or error."""
        text = one_line(text, LONGEST)
        self._count += 1
        self._events.append(Event(self._count, time.time(), kind, text))
        log.info("channel_event", sentence=text, kind=kind)

    def events(self) -> list[Event]:
        """Return the kept events, oldest first."""
        return list(self._events)
