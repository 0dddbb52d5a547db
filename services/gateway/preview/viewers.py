"""Viewers of the preview: selects what each browser is sent, so that a slow one does not affect the others.

The page controls the flow by acknowledging the frames it has drawn. A viewer has at most IN_FLIGHT unacknowledged
frames. Until the page acknowledges one, only the newest frame waits, and each frame that it replaces counts as dropped.
Nothing else is queued in the socket, so a stalled browser occupies two frames and no more.
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
    """One preview socket, of the operator's console or of a watch page. Not thread-safe: used in the event loop.

    WORDS: keys that the page's messages may have. OPERATOR: whether it is the console, which is also shown the driver.
    mode: the mode that the page asked for. plate: number of the avatar whose plate the page has, or -1. A page without
        the plate is sent full frames whatever its mode.
    view: width and height, in screen pixels, at which the page shows the frame, (0, 0) if it has not reported them.
    listening: whether the page plays the sound.
    sent: bytes by mode. dropped: frames and sounds that the page was too slow for.
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
    _label: bytes = b""  # message with the label patch that the page has
    _number: int = -1
    _size: tuple[int, int] = (0, 0)  # width and height of the program
    _sounds: deque[bytes] = field(default_factory=lambda: deque(maxlen=SOUNDS_WAITING))
    _text: deque[str] = field(default_factory=lambda: deque(maxlen=16))
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, preview: PreviewMessages) -> None:
        """Offer a new frame; a frame that is still waiting is dropped."""
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
        """Queue a text message, JSON."""
        self._text.append(text)
        self._ready.set()

    def receive_text(self, text: str) -> bool:
        """Process a page's message, such as an acknowledgement, mode or ping; returns False for an invalid one."""
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
        """Mode to encode for this viewer: roi, full, or half if the page shows the frame at half size or smaller."""
        if self.mode == "roi" and self.plate == self._number:
            return "roi"
        (width, height), (wide, high) = self._size, self.view
        return "half" if wide and (2 * wide <= width or 2 * high <= height) else "full"

    async def messages(self) -> list[str | bytes]:
        """Wait until something may be sent, and return all such messages in order."""
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
            return out  # encoded before this viewer changed its mode; the next frame has the new mode
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
        """Maximum number of unacknowledged frames."""
        return IN_FLIGHT

    def hello(self, preview: PreviewMessages) -> dict[str, int | str]:
        """Return the message that announces a new avatar to the page."""
        return {
            "number": preview.number, "avatar": preview.avatar, "width": preview.width, "height": preview.height,
        }  # fmt: skip

    def note_sent(self) -> None:
        """Called after a frame was queued for sending."""


@dataclass(slots=True)
class SentTotals:
    """Totals over viewers: bytes sent by mode, and the frames and sounds that they were too slow for."""

    sent: dict[str, int] = field(default_factory=lambda: {"full": 0, "roi": 0, "sound": 0, "driver": 0})
    dropped: int = 0

    def add(self, viewer: PreviewViewer) -> None:
        """Add a viewer's figures."""
        for mode, count in viewer.sent.items():
            self.sent[mode] += count
        self.dropped += viewer.dropped


class Audience:
    """All viewers: the operator's consoles and viewers by watch links. Not thread-safe: used in the event loop.

    on_modes: called with the watched modes when they may have changed; they include "driver" if there is a console.
    """

    def __init__(self, on_modes: Callable[[frozenset[str]], None]) -> None:
        self.viewers: dict[PreviewViewer, str] = {}  # with the mode that each is sent
        self._on_modes = on_modes
        self._caption = ""  # message for the line that is heard now
        self._gone = {True: SentTotals(), False: SentTotals()}  # of viewers that have left; True: consoles

    def join(self, viewer: PreviewViewer) -> None:
        """Add a viewer and send it the current caption."""
        self.viewers[viewer] = viewer.wanted
        if self._caption:
            viewer.offer_text(self._caption)
        self._tell()

    def leave(self, viewer: PreviewViewer) -> None:
        """Remove a viewer; does nothing if it was removed before."""
        if self.viewers.pop(viewer, None) is not None:
            self._gone[viewer.OPERATOR].add(viewer)
            self._tell()

    def update(self, viewer: PreviewViewer) -> None:
        """Update the watched modes if a viewer's mode has changed. Called for every message, so otherwise cheap."""
        if viewer in self.viewers and self.viewers[viewer] != viewer.wanted:
            self.viewers[viewer] = viewer.wanted
            self._tell()

    def _tell(self) -> None:
        modes = set(self.viewers.values())
        if any(viewer.OPERATOR for viewer in self.viewers):
            modes.add("driver")
        self._on_modes(frozenset(modes))

    def deliver(self, item: PreviewMessages | bytes) -> None:
        """Offer the frame's messages, or one message of sound or driver, to all viewers."""
        for viewer in self.viewers:
            if isinstance(item, bytes):
                viewer.offer_bytes(item)
            else:
                viewer.offer(item)

    def hear(self, caption: Caption) -> None:
        """Send a new or changed caption to all viewers, and to those who join while it is heard."""
        text = json.dumps({"caption": asdict(caption)})
        self._caption = "" if caption.is_over else text
        for viewer in self.viewers:
            viewer.offer_text(text)

    def totals(self, *, operator: bool) -> SentTotals:
        """Return the totals since the start, those who left included. operator: of consoles or of links."""
        gone = self._gone[operator]
        totals = SentTotals(dict(gone.sent), gone.dropped)
        for viewer in self.viewers:
            if viewer.OPERATOR is operator:
                totals.add(viewer)
        return totals

    def watching(self) -> dict[str, int]:
        """Return the number of consoles by mode; half counts as full."""
        modes = [mode for viewer, mode in self.viewers.items() if viewer.OPERATOR]
        return {"full": len(modes) - modes.count("roi"), "roi": modes.count("roi")}
