"""Captions for the outputs that have them burnt in: the line that is heard with a frame, as the overlay to draw on it.

Fonts are looked for and letters drawn in a thread of its own, as soon as a line is on its way, so that neither the
event loop nor the program waits for it.
"""

from concurrent.futures import ThreadPoolExecutor

from compositing.caption import CaptionPage, caption_pages, page_at
from compositing.overlay import Overlay
from services.gateway.channel.captions import Caption
from services.gateway.channel.event_log import EventLog
from shared.errors import StudioError
from shared.runtime.clock import US
from shared.wire.program import ProgramFrame

KEPT = 8  # captions, and sentences that are drawn
CHARACTERS_A_SECOND = 12  # of a voice whose sentence has no end yet; slower than most, so that no page comes early
Drawing = tuple[str, int, int]  # a text for frames of this size


class BurntCaptions:
    """`want` is called from any thread, `hear` and `expect` in the event loop, `overlay` in the bus thread."""

    def __init__(self, event_log: EventLog, tick_us: int) -> None:
        self._event_log, self._half_tick = event_log, tick_us // 2
        self._wanted = False
        self._size = 0, 0  # of the program
        self._captions: tuple[Caption, ...] = ()  # the newest of each, oldest first; replaced as a whole
        self._pages: dict[Drawing, tuple[CaptionPage, ...] | None] = {}  # None while it is drawn; the oldest first
        self._refused = ""  # the sentence that was told last
        self._pen = ThreadPoolExecutor(1, "captions")

    def want(self, wanted: bool) -> None:
        """Draw captions, or not."""
        self._wanted = wanted

    def close(self) -> None:
        """End the thread. What is being drawn is not waited for."""
        self._pen.shutdown(wait=False, cancel_futures=True)

    def expect(self, text: str) -> None:
        """A line is on its way."""
        if self._wanted and self._size[0]:
            self._begin((text, *self._size))

    def hear(self, caption: Caption) -> None:
        """A caption has begun or changed. One that is interrupted keeps its text, and is not drawn once more."""
        if before := next((each for each in self._captions if each.id == caption.id), None):
            caption = Caption(caption.id, before.text, caption.start, caption.end, caption.state)
        self._captions = (*(each for each in self._captions if each.id != caption.id), caption)[-KEPT:]

    def overlay(self, frame: ProgramFrame) -> Overlay | None:
        """What is drawn on this frame; None for nothing, for example while captions are off."""
        if not self._wanted:
            return None
        self._size = frame.width, frame.height
        at = frame.pts + self._half_tick
        heard = [each for each in self._captions if each.start <= at and (each.end is None or at < each.end)]
        if not heard:
            return None
        caption = heard[-1]
        drawing = caption.text, frame.width, frame.height
        if drawing not in self._pages:
            self._begin(drawing)
        pages = self._pages.get(drawing)
        whole = caption.end - caption.start if caption.end else len(caption.text) * US // CHARACTERS_A_SECOND
        return page_at(pages, (at - caption.start) / whole) if pages else None

    def _begin(self, drawing: Drawing) -> None:
        if drawing not in self._pages:
            self._pages[drawing] = None
            try:
                self._pen.submit(self._draw, drawing)
            except RuntimeError:
                pass  # it is closed

    def _draw(self, drawing: Drawing) -> None:
        try:
            self._pages[drawing] = caption_pages(*drawing)
        except StudioError as error:
            self._pages[drawing] = ()
            if str(error) != self._refused:
                self._refused = str(error)
                self._event_log.add(self._refused, "warning")
        for old in list(self._pages)[:-KEPT]:
            self._pages.pop(old, None)
