"""A viewer by a watch link.

Unlike the console's viewer it cannot choose the mode and is not shown the driver. It may be far away.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from services.gateway.audience.links import WatchRefusal
from services.gateway.preview.encoder import PreviewMessages
from services.gateway.preview.viewers import IN_FLIGHT, PreviewViewer

MOST_IN_FLIGHT = 12  # half a second at 25 frames a second: with a longer round trip some frames are skipped
MOST_TEXT_CHARACTERS = 512  # longest message from the page
MOST_MESSAGES_A_SECOND = 300  # a page sends about fifty: acknowledgements of frames and sounds, and some pings
MOST_BAD_MESSAGES = 20
SILENCE_S = 15.0  # a page sends something every two seconds


@dataclass(eq=False, slots=True)
class WatchViewer(PreviewViewer):
    """A socket of the watch page. Not thread-safe: used in the event loop.

    link: id of its watch link. rate: program frames a second. plate_name: returns the public name of an avatar's plate.
    ended: why it must disconnect, None while it may watch. clock: returns monotonic seconds.

    The number of unacknowledged frames is limited to as many as the shortest measured round trip lasts. So a viewer on
    another continent receives every frame, while a slow connection has no more frames queued than it needs.
    """

    WORDS: ClassVar[frozenset[str]] = frozenset({"ping", "ack", "sounds", "plate", "view", "listen"})
    OPERATOR: ClassVar[bool] = False

    mode: str = "roi"
    link: str = ""
    rate: float = 25.0
    plate_name: Callable[[str], str] = str
    clock: Callable[[], float] = time.monotonic
    ended: WatchRefusal | None = None
    _heard: float = field(init=False)
    _second: int = 0
    _messages: int = 0
    _bad: int = 0
    _sent_at: deque[float] = field(default_factory=deque)
    _trip_s: float = math.inf  # shortest time from sending a frame to its acknowledgement

    def __post_init__(self) -> None:
        self._heard = self.clock()

    def is_silent(self) -> bool:
        """Whether the page has sent nothing for SILENCE_S, so that it cannot be showing the program."""
        return self.clock() - self._heard > SILENCE_S

    def accepts(self, text: str) -> bool:
        """Process a message of the page; returns False if the socket must be closed.

        That is the case for a message that is too long, for too many messages, and for repeated invalid ones.
        """
        at = self.clock()
        if int(at) != self._second:
            self._second, self._messages = int(at), 0
        self._messages += 1
        if self._messages > MOST_MESSAGES_A_SECOND or not 0 < len(text) <= MOST_TEXT_CHARACTERS:
            return False
        before = self._unacked
        if not self.receive_text(text):
            self._bad += 1
            return self._bad < MOST_BAD_MESSAGES
        self._heard = at
        for _ in range(min(before - self._unacked, len(self._sent_at))):
            self._trip_s = min(self._trip_s, at - self._sent_at.popleft())
        return True

    @property
    def in_flight(self) -> int:
        """Maximum number of unacknowledged frames."""
        if self._trip_s == math.inf:
            return IN_FLIGHT
        return min(MOST_IN_FLIGHT, max(IN_FLIGHT, math.ceil(self._trip_s * self.rate) + 1))

    def hello(self, preview: PreviewMessages) -> dict[str, int | str]:
        """Return the message that announces an avatar: what the page needs of it, without its name."""
        return {
            "number": preview.number, "plate": self.plate_name(preview.avatar), "width": preview.width,
            "height": preview.height,
        }  # fmt: skip

    def note_sent(self) -> None:
        """Note when a frame was sent, to measure the round trip."""
        self._sent_at.append(self.clock())
