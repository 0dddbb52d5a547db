"""The people watching: what each browser is sent, and that a slow one costs the others nothing.

Flow control is the page's: it acknowledges what it has drawn. A viewer has at most IN_FLIGHT frames on the way;
while it has, a newer frame replaces the one that waits, counted as dropped. Nothing is ever queued in the
socket beyond that, so a stalled browser holds two frames and no more.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from services.gateway.channel.captions import Caption
from services.gateway.preview.encoder import DRIVER, SOUND, PreviewMessages
from shared.runtime.clock import now

IN_FLIGHT = 2
SOUNDS_IN_FLIGHT = 25
SOUNDS_WAITING = 25


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(n) is int and 0 < n < 1 << 16 for n in value)


@dataclass(eq=False, slots=True)
class PreviewViewer:
    """One preview socket, of the operator's console or of a page that watches. Lives in the event loop.

    WORDS: what the page may say. OPERATOR: whether it is the console, which is shown the driver too.
    mode: what it asked for; plate: number of the avatar whose plate the page has, or -1. A page without the
        plate is sent full frames whatever its mode.
    view: width and height of what the page shows the frame in, in its screen's pixels, where it has said so.
    sent: bytes by mode. dropped: frames and sounds it was too slow for.
    """

    WORDS: ClassVar[frozenset[str]] = frozenset({"ping", "ack", "sounds", "mode", "plate", "view", "listen"})
    OPERATOR: ClassVar[bool] = True

    mode: str = "full"
    plate: int = -1
    view: tuple[int, int] = (0, 0)
    listening: bool = False
    sent: dict[str, int] = field(default_factory=lambda: {"full": 0, "roi": 0, "sound": 0, "driver": 0})
    dropped: int = 0
    _unacked: int = 0
    _unacked_sounds: int = 0
    _frame: PreviewMessages | None = None
    _driver: bytes = b""
    _label: bytes = b""  # the label patch the page has
    _number: int = -1
    _size: tuple[int, int] = (0, 0)  # of the program
    _sounds: deque[bytes] = field(default_factory=lambda: deque(maxlen=SOUNDS_WAITING))
    _text: deque[str] = field(default_factory=lambda: deque(maxlen=16))
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, preview: PreviewMessages) -> None:
        """A new frame; one that still waits is dropped."""
        if self._frame is not None:
            self.dropped += 1
        self._frame = preview
        self._ready.set()

    def offer_bytes(self, message: bytes) -> None:
        """Offer a message of sound or a driver frame."""
        if message[0] == DRIVER:
            if not self.OPERATOR:
                return
            self._driver = message
        elif message[0] == SOUND and self.listening:
            self.dropped += len(self._sounds) == SOUNDS_WAITING
            self._sounds.append(message)
        self._ready.set()

    def offer_text(self, text: str) -> None:
        """A message of words."""
        self._text.append(text)
        self._ready.set()

    def receive_text(self, text: str) -> bool:
        """Take in a page's message: acknowledgement, mode or ping. False for one that no page sends."""
        try:
            words = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if not isinstance(words, dict):
            return False
        known = True
        for word, value in words.items():
            if word not in self.WORDS:
                known = False
            elif word == "ping" and type(value) in (int, float):
                self._text.append(json.dumps({"pong": value, "now": now()}))
            elif word == "ack" and type(value) is int:
                self._unacked = max(0, self._unacked - max(0, value))
            elif word == "sounds" and type(value) is int:
                self._unacked_sounds = max(0, self._unacked_sounds - max(0, value))
            elif word == "mode" and value in ("full", "roi"):
                self.mode = value
            elif word == "plate" and type(value) is int:
                self.plate = value
            elif word == "view" and _is_size(value):
                self.view = value[0], value[1]
            elif word == "listen" and type(value) is bool:
                self.listening = value
                self._sounds.clear()
            else:
                known = False
        self._ready.set()
        return known

    @property
    def wanted(self) -> str:
        """What to encode for it: roi, full, or half for a page on which that looks the same."""
        if self.mode == "roi" and self.plate == self._number:
            return "roi"
        (width, height), (wide, high) = self._size, self.view
        return "half" if wide and (2 * wide <= width or 2 * high <= height) else "full"

    async def messages(self) -> list[str | bytes]:
        """What may be sent now, in order; waits until there is something."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            out: list[str | bytes] = [*self._text]
            self._text.clear()
            room = self._unacked < self.in_flight
            if self._frame is not None and room:
                out += self._frames(self._frame)
                self._frame = None
            while self._sounds and self._unacked_sounds < SOUNDS_IN_FLIGHT:
                self._unacked_sounds += 1
                self.sent["sound"] += len(self._sounds[0])
                out.append(self._sounds.popleft())
            if self._driver and room:
                self.sent["driver"] += len(self._driver)
                out.append(self._driver)
                self._driver = b""
            if out:
                return out

    def _frames(self, preview: PreviewMessages) -> list[str | bytes]:
        out: list[str | bytes] = []
        if preview.number != self._number:
            self._number, self._size = preview.number, (preview.width, preview.height)
            out.append(json.dumps({"hello": self.hello(preview)}))
        mode = self.wanted
        message = {"roi": preview.roi, "half": preview.half, "full": preview.full}[mode]
        if not message:
            return out  # it was encoded before this viewer changed its mode; the next one fits
        if mode == "roi" and preview.label is not self._label:
            self._label = preview.label
            out.append(preview.label)
            self.sent["roi"] += len(preview.label)
        out.append(message)
        self.sent["roi" if mode == "roi" else "full"] += len(message)
        self._unacked += 1
        self.note_sent()
        return out

    @property
    def in_flight(self) -> int:
        """How many frames may be on the way."""
        return IN_FLIGHT

    def hello(self, preview: PreviewMessages) -> dict[str, int | str]:
        """What the page needs to know of an avatar that is new to it."""
        return {
            "number": preview.number, "avatar": preview.avatar, "width": preview.width, "height": preview.height,
        }  # fmt: skip

    def note_sent(self) -> None:
        """A frame is on its way."""


@dataclass(slots=True)
class SentTotals:
    """What viewers were sent, bytes by mode, and the frames and sounds they were too slow for."""

    sent: dict[str, int] = field(default_factory=lambda: {"full": 0, "roi": 0, "sound": 0, "driver": 0})
    dropped: int = 0

    def add(self, viewer: PreviewViewer) -> None:
        """Add what a viewer was sent, once it has left."""
        for mode, count in viewer.sent.items():
            self.sent[mode] += count
        self.dropped += viewer.dropped


class Audience:
    """All viewers: the operator's consoles, and those who watch by a link. Lives in the event loop.

    on_modes: told which modes are watched, and "driver" where a console shows the driver.
    """

    def __init__(self, on_modes: Callable[[frozenset[str]], None]) -> None:
        self.viewers: dict[PreviewViewer, str] = {}  # with the mode each is sent
        self._on_modes = on_modes
        self._caption = ""  # of the line that is heard now
        self._gone = {True: SentTotals(), False: SentTotals()}  # by whether they were consoles

    def join(self, viewer: PreviewViewer) -> None:
        """Add a viewer, who gets the current caption at once."""
        self.viewers[viewer] = viewer.wanted
        if self._caption:
            viewer.offer_text(self._caption)
        self._tell()

    def leave(self, viewer: PreviewViewer) -> None:
        """Remove a viewer; one who has left already changes nothing."""
        if self.viewers.pop(viewer, None) is not None:
            self._gone[viewer.OPERATOR].add(viewer)
            self._tell()

    def update(self, viewer: PreviewViewer) -> None:
        """A viewer may have changed its mind. Called with every message, so it costs nothing when it has not."""
        if viewer in self.viewers and self.viewers[viewer] != viewer.wanted:
            self.viewers[viewer] = viewer.wanted
            self._tell()

    def _tell(self) -> None:
        modes = set(self.viewers.values())
        if any(viewer.OPERATOR for viewer in self.viewers):
            modes.add("driver")
        self._on_modes(frozenset(modes))

    def deliver(self, item: PreviewMessages | bytes) -> None:
        """Offer one item to everyone."""
        for viewer in self.viewers:
            if isinstance(item, bytes):
                viewer.offer_bytes(item)
            else:
                viewer.offer(item)

    def hear(self, caption: Caption) -> None:
        """A caption has begun or changed: everyone has it, and those who join while it is heard."""
        text = json.dumps({"caption": asdict(caption)})
        self._caption = "" if caption.is_over else text
        for viewer in self.viewers:
            viewer.offer_text(text)

    def totals(self, *, operator: bool) -> SentTotals:
        """Totals of consoles, or of viewers by a link, since the start, with those who have left."""
        gone = self._gone[operator]
        totals = SentTotals(dict(gone.sent), gone.dropped)
        for viewer in self.viewers:
            if viewer.OPERATOR is operator:
                totals.add(viewer)
        return totals

    def watching(self) -> dict[str, int]:
        """Consoles by the mode they are sent."""
        modes = [mode for viewer, mode in self.viewers.items() if viewer.OPERATOR]
        return {"full": len(modes) - modes.count("roi"), "roi": modes.count("roi")}
