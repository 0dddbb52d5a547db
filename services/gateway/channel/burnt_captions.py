"""Burnt-in captions: the line that is heard with a frame, as an overlay to draw on that frame.

Looking up fonts and rendering text takes place in a separate thread, and begins before a line is heard, so that neither
the event loop nor the program waits for it.
"""

from concurrent.futures import ThreadPoolExecutor

from compositing.caption import CaptionPage, caption_pages, page_at
from compositing.overlay import Overlay
from services.gateway.channel.captions import Caption
from services.gateway.channel.event_log import EventLog
from shared.errors import StudioError
from shared.runtime.clock import US
from shared.wire.program import ProgramFrame

KEPT = 8  # captions, and rendered sentences
CHARACTERS_A_SECOND = 12  # assumed while a sentence's end is unknown; slower than most voices, so no page comes early
Drawing = tuple[str, int, int]  # a text, and width and height of the frames it is drawn for


class BurntCaptions:
    """Renders captions ahead of time and selects the one to draw on each frame.

    `want` is called from any thread, `hear` and `expect` in the event loop, `overlay` in the bus thread.
    """

    def __init__(self, event_log: EventLog, tick_us: int) -> None:
        self._event_log, self._half_tick = event_log, tick_us // 2
        self._wanted = False
        self._size = 0, 0  # of the program
        self._captions: tuple[Caption, ...] = ()  # newest version of each, oldest caption first; replaced as a whole
        self._pages: dict[Drawing, tuple[CaptionPage, ...] | None] = {}  # oldest first; None while being rendered
        self._refused = ""  # the last error that was added to the event log
        self._pen = ThreadPoolExecutor(1, "captions")

    def want(self, wanted: bool) -> None:
        """Turn the drawing of captions on or off."""
        self._wanted = wanted

    def close(self) -> None:
        """Stop the rendering thread without waiting for it."""
        self._pen.shutdown(wait=False, cancel_futures=True)

    def expect(self, text: str) -> None:
        """Start rendering a line that will be heard soon."""
        if self._wanted and self._size[0]:
            self._begin((text, *self._size))

    def hear(self, caption: Caption) -> None:
        """Store a new or changed caption. It keeps the text it began with: an interruption renders nothing new."""
        if before := next((each for each in self._captions if each.id == caption.id), None):
            caption = Caption(caption.id, before.text, caption.start, caption.end, caption.state)
        self._captions = (*(each for each in self._captions if each.id != caption.id), caption)[-KEPT:]

    def overlay(self, frame: ProgramFrame) -> Overlay | None:
        """Return the overlay for this frame, None if there is nothing to draw, for example while captions are off."""
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
                pass  # the executor is closed

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
