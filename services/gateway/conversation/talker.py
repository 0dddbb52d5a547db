"""The person who talks with the host: a microphone, typed questions, and the messages back. One at a time."""

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

BURST_S = 2.0  # of sound that a line which was held up may bring at once; more is left out
MOST_MESSAGES = 200  # waiting for one who takes none in; the oldest are left out


class TurnListener(Protocol):
    """Notified when a talker begins to speak and has finished."""

    def begin_turn(self) -> None:
        """The talker has begun to speak."""

    def end_turn(self, turn: TurnEnded) -> None:
        """The talker has finished."""


class Talker:
    """One who talks.

    Lives in the event loop.

    operator: whether it is the console, which learns all that went wrong and stops all that is spoken. active:
    monotonic seconds at which something last came that is a part of a conversation.
    """

    def __init__(self, listener: TurnListener, silence_ms: int, *, operator: bool) -> None:
        self.operator = operator
        self.active = time.monotonic()
        self._listener, self._silence_ms = listener, silence_ms
        self._detector: TurnDetector | None = None
        self._muted = self._deaf = False
        self._allowed_to = 0.0  # the time up to which sound has come
        self._messages: deque[TalkMessage] = deque(maxlen=MOST_MESSAGES)
        self._ready = asyncio.Event()

    @property
    def in_turn(self) -> bool:
        """Whether it is speaking."""
        return self._detector is not None and self._detector.in_turn

    async def hear(self, pcm: bytes) -> None:
        """Sound of the microphone, s16 mono at 16 kHz."""
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
        """Whether so much sound can have been spoken since the last of it."""
        at = time.monotonic()
        self._allowed_to = max(self._allowed_to, at - BURST_S)
        if self._allowed_to + seconds > at:
            return False
        self._allowed_to += seconds
        return True

    def mute(self, muted: bool) -> None:
        """Whether the microphone is off; what was being spoken is over then."""
        self._muted = muted
        if muted and self._detector is not None:
            spoke = self._detector.in_turn
            self._detector.reset()
            if spoke:
                self._listener.end_turn(TurnEnded(b"", 0))

    def tell(self, message: TalkMessage) -> None:
        """Have it sent."""
        self._messages.append(message)
        self._ready.set()

    async def messages(self) -> list[TalkMessage]:
        """The messages to send; waits until there is something."""
        await self._ready.wait()
        self._ready.clear()
        waiting = list(self._messages)
        self._messages.clear()
        return waiting
