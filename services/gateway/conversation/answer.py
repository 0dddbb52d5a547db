"""One answer of the host: its sentences on the way to the voice, what was heard of it, and how long it took."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from services.gateway.channel.captions import Caption
from services.gateway.channel.speech_queue import Utterance
from services.gateway.models.conversation import ConversationLine, TurnLatency
from shared.runtime.clock import now


@dataclass(frozen=True, slots=True)
class QuestionTimes:
    """When a question was known.

    decided, text: microseconds on the channel clock. vad_ms: until it was known to be over.
    """

    vad_ms: int
    decided: int
    text: int

    @classmethod
    def typed(cls) -> "QuestionTimes":
        """Of a question that is text already."""
        return cls(0, now(), now())


@dataclass(eq=False, slots=True)
class HostAnswer:
    """What the host says to a question. Lives in the event loop.

    stopped: nothing more of it is to be heard. kept: what was heard of it is a line. over: the utterance has ended, one
    way or another.
    """

    times: QuestionTimes
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    utterance: Utterance | None = None
    stopped: bool = False
    kept: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    _sentences: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)  # bounded by the answer's length
    _heard: dict[str, str] = field(default_factory=dict)  # text by caption
    _first: int = 0  # when the first sentence was whole

    @property
    def is_heard(self) -> bool:
        """Whether any of it was heard."""
        return bool(self._heard)

    def add_sentence(self, sentence: str) -> None:
        """A sentence is whole."""
        self._first = self._first or now()
        self._sentences.put_nowait(sentence)

    def finish(self) -> None:
        """There are no more sentences."""
        self._sentences.put_nowait(None)

    async def sentences(self) -> AsyncIterator[str]:
        """Those that were added, as they come."""
        while (sentence := await self._sentences.get()) is not None:
            yield sentence

    def follow(self, utterance: Utterance) -> None:
        """Take the utterance's new state; once it is interrupted, the rest of the answer is dropped."""
        if utterance.is_over:
            self.over.set()
            if utterance.state == "interrupted":
                self.stop()

    def stop(self) -> None:
        """Stop asking for the rest of the answer."""
        self.stopped = True
        if self.task:
            self.task.cancel()

    def hear(self, caption: Caption) -> bool:
        """Take in what is heard; whether it is of this answer."""
        if self.utterance is None or not caption.id.startswith(f"{self.utterance.id}-"):
            return False
        self._heard[caption.id] = caption.text
        return True

    def line(self, *, final: bool) -> ConversationLine:
        """What was heard so far."""
        return ConversationLine(id=self.id, role="host", text=" ".join(self._heard.values()), final=final)

    def latency(self, heard: int) -> TurnLatency:
        """What it took until its first sound. heard: microseconds on the channel clock."""
        times = self.times
        spent = (times.text - times.decided, self._first - times.text, heard - self._first)
        to_text, chat, voice = (max(0, round(each / 1000)) for each in spent)
        return TurnLatency(
            vad_ms=times.vad_ms,
            speech_to_text_ms=to_text,
            chat_ms=chat,
            voice_ms=voice,
            total_ms=times.vad_ms + to_text + chat + voice,
        )
