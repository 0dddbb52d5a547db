"""The console's log line: what happened, one sentence each, newest last."""

import time
from collections import deque
from dataclasses import dataclass

import structlog

from shared.runtime.shown_text import one_line

log = structlog.get_logger()
KEPT = 50
LONGEST = 500  # characters of an event


@dataclass(frozen=True, slots=True)
class Event:
    """An event as pages show it.

    number: counts up, so that a page knows what it has shown. at: wall clock, seconds; kind: info, warning or error.
    """

    number: int
    at: float
    kind: str
    text: str


class EventLog:
    """The last events. Any thread may add; `events` is a snapshot."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, text: str, kind: str = "info") -> None:
        """Note one sentence."""
        text = one_line(text, LONGEST)
        self._count += 1
        self._events.append(Event(self._count, time.time(), kind, text))
        log.info("channel_event", sentence=text, kind=kind)

    def events(self) -> list[Event]:
        """Oldest first."""
        return list(self._events)
