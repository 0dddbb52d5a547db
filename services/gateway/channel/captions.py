"""Captions: events for the line that is heard now. All of it runs in the event loop."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from services.gateway.channel.spoken_lines import SpokenLine

RECENT_CAPTIONS = 8

CaptionPhase = Literal["started", "ended", "interrupted"]


@dataclass(frozen=True, slots=True)
class Caption:
    """A spoken sentence. text: if it was interrupted, only the part that was heard.

    start, end: microseconds on the channel clock at which its sound begins and ends; end is null until it is known,
    which may be before the sentence is over.
    """

    id: str
    text: str
    start: int
    end: int | None
    state: CaptionPhase

    @property
    def is_over(self) -> bool:
        """Whether the line has ended or was interrupted."""
        return self.state != "started"


class Captions:
    """Follows the spoken lines and notifies listeners when a line begins and when it is over.

    Listeners are also notified if the time of a line's end becomes known in between.
    """

    def __init__(self) -> None:
        self.recent: deque[Caption] = deque(maxlen=RECENT_CAPTIONS)  # newest version of each, oldest caption first
        self._listeners: list[Callable[[Caption], None]] = []
        self._expecting: list[Callable[[str], None]] = []
        self._lines: dict[str, SpokenLine] = {}  # lines that have been sent, at least in part, and are not over
        self._told: dict[str, Caption] = {}  # last reported caption of each line that is heard now
        self._begun = -1  # start of the newest line that has begun

    @property
    def is_pending(self) -> bool:
        """Whether a line is heard now or will be heard next."""
        return bool(self._lines)

    def add_listener(self, listener: Callable[[Caption], None]) -> None:
        """Call `listener` with every new or changed caption, in the event loop."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[Caption], None]) -> None:
        """Stop calling `listener`. Raises ValueError if it was not added."""
        self._listeners.remove(listener)

    def add_expecting(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with each line's text shortly before the line is heard; the line may still be withdrawn."""
        self._expecting.append(listener)

    def follow(self, at: int, lines: Iterable[SpokenLine] = ()) -> None:
        """Report all changes up to `at`, in microseconds. lines: the lines whose first sound has been sent."""
        for line in lines:
            if line.start is not None and line.start > self._begun and line.id not in self._lines:
                self._lines[line.id] = line
                for expecting in self._expecting:
                    expecting(line.text)
        for line in list(self._lines.values()):
            if line.start is None:  # withdrawn, or interrupted before it was heard
                del self._lines[line.id]
                if told := self._told.get(line.id):
                    self._tell(replace(told, end=at, state="interrupted"))
            elif line.start <= at:
                self._begun = max(self._begun, line.start)
                over = line.end is not None and line.end <= at
                phase: CaptionPhase = "started" if not over else "interrupted" if line.cut else "ended"
                if over:
                    del self._lines[line.id]
                self._tell(Caption(line.id, line.said or line.text, line.start, line.end, phase))

    def _tell(self, caption: Caption) -> None:
        before = self._told.get(caption.id)
        if caption == before:
            return
        if before is not None and before in self.recent:
            self.recent.remove(before)
        self.recent.append(caption)
        self._told[caption.id] = caption
        if caption.is_over:
            del self._told[caption.id]
        for listener in list(self._listeners):
            listener(caption)
