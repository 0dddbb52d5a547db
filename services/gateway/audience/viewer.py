"""One who watches by a link.

A viewer of the preview who may choose nothing, is not shown the driver, and may be far away.
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

MOST_IN_FLIGHT = 12  # half a second at 25 frames a second: a longer round trip costs frames
MOST_TEXT_CHARACTERS = 512  # size of a message from the page
MOST_MESSAGES_A_SECOND = 300  # a page sends about fifty: acknowledgements of frames and sounds, and some pings
MOST_BAD_MESSAGES = 20
SILENCE_S = 15.0  # a page sends something every two seconds


@dataclass(eq=False, slots=True)
class WatchViewer(PreviewViewer):
    """A socket of the watch page. Lives in the event loop.

    link: by which it watches. plate_name: what the page gets for an avatar's plate. ended: why it has to go, once it
    has to. clock: monotonic seconds.

    As many frames are on the way to it as the shortest trip there and back takes, so that a viewer on another continent
    gets every frame, while one whose line is too slow has no more of them queued than it needs.
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
    _trip_s: float = math.inf  # the shortest from a frame to its acknowledgement

    def __post_init__(self) -> None:
        self._heard = self.clock()

    def is_silent(self) -> bool:
        """Whether nothing has come from it for so long that it is not a page that shows the program."""
        return self.clock() - self._heard > SILENCE_S

    def accepts(self, text: str) -> bool:
        """Take in what the page says; False for one that no page would send so much or so often."""
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
        """How many frames may be on the way."""
        if self._trip_s == math.inf:
            return IN_FLIGHT
        return min(MOST_IN_FLIGHT, max(IN_FLIGHT, math.ceil(self._trip_s * self.rate) + 1))

    def hello(self, preview: PreviewMessages) -> dict[str, int | str]:
        """The first message: of the avatar only what the page needs; its plate has a meaningless name."""
        return {
            "number": preview.number, "plate": self.plate_name(preview.avatar), "width": preview.width,
            "height": preview.height,
        }  # fmt: skip

    def note_sent(self) -> None:
        """Note that a frame is on its way."""
        self._sent_at.append(self.clock())
