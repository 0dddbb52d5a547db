"""The person who talks with the host: sound of a microphone in, messages to the page out."""

import asyncio
import time
from collections import deque
from typing import Protocol

from services.gateway.conversation.vad import (
    SPEECH_RATE_HZ,
    TurnBegun,
    TurnDetector,
    TurnEnded,
    load_speech_share,
)
from services.gateway.models.conversation import ConversationError, TalkMessage
from shared.errors import StudioError

BURST_S = 2.0  # seconds of sound accepted in a burst after a stalled connection; more is dropped
MOST_MESSAGES = 200  # messages that may wait for a slow page; the oldest are dropped


class TurnListener(Protocol):
    """Listener for the beginning and the end of a talker's turns."""

    def begin_turn(self) -> None:
        """Called when the talker has begun to speak."""

    def end_turn(self, turn: TurnEnded) -> None:
        """Called when the talker has finished a turn; its sound is empty if it was only a noise."""


class Talker:
    """A person who talks with the host. Not thread-safe: used in the event loop.

    operator: whether it is the console's user, who is shown all errors and whose turns stop all speech. active:
    monotonic seconds of the talker's last contribution: speech or a typed question.
    """

    def __init__(self, listener: TurnListener, silence_ms: int, *, operator: bool) -> None:
        self.operator = operator
        self.active = time.monotonic()
        self._listener, self._silence_ms = listener, silence_ms
        self._detector: TurnDetector | None = None
        self._muted = self._deaf = False
        self._allowed_to = 0.0  # monotonic seconds up to which sound was received
        self._messages: deque[TalkMessage] = deque(maxlen=MOST_MESSAGES)
        self._ready = asyncio.Event()

    @property
    def in_turn(self) -> bool:
        """Whether the talker is speaking."""
        return self._detector is not None and self._detector.in_turn

    async def hear(self, pcm: bytes) -> None:
        """Process sound of the microphone, s16 mono at 16 kHz."""
        if self._muted or self._deaf or not self._in_time(len(pcm) / 2 / SPEECH_RATE_HZ):
            return
        if self._detector is None:
            try:
                self._detector = TurnDetector(await asyncio.to_thread(load_speech_share), self._silence_ms)
            except StudioError as error:
                self._deaf = True
                self.tell(ConversationError(detail=str(error)))
                return
        for event in self._detector.feed(pcm):
            self.active = time.monotonic()
            if isinstance(event, TurnBegun):
                self._listener.begin_turn()
            else:
                self._listener.end_turn(event)

    def _in_time(self, seconds: float) -> bool:
        """Return whether this much sound can have been recorded since the previous block; False if it came too fast."""
        at = time.monotonic()
        self._allowed_to = max(self._allowed_to, at - BURST_S)
        if self._allowed_to + seconds > at:
            return False
        self._allowed_to += seconds
        return True

    def mute(self, muted: bool) -> None:
        """Turn the microphone off or on; turning it off ends and discards a turn in progress."""
        self._muted = muted
        if muted and self._detector is not None:
            spoke = self._detector.in_turn
            self._detector.reset()
            if spoke:
                self._listener.end_turn(TurnEnded(b"", 0))

    def tell(self, message: TalkMessage) -> None:
        """Queue a message to the page."""
        self._messages.append(message)
        self._ready.set()

    async def messages(self) -> list[TalkMessage]:
        """Wait for messages to the page, and return and remove all of them."""
        await self._ready.wait()
        self._ready.clear()
        waiting = list(self._messages)
        self._messages.clear()
        return waiting
