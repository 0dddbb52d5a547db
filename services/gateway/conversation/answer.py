"""One answer of the host: its sentences on their way to the voice, the text heard so far, and its latency."""

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
    """Times of a question, for the latency of its answer.

    decided: when the end of the turn was detected. text: when its transcript was ready. Both are microseconds on the
    channel clock. vad_ms: milliseconds from the question's last sound until its end was detected.
    """

    vad_ms: int
    decided: int
    text: int

    @classmethod
    def typed(cls) -> "QuestionTimes":
        """Return the times of a typed question, which needs no detection and no transcript."""
        return cls(0, now(), now())


@dataclass(eq=False, slots=True)
class HostAnswer:
    """The host's answer to one question. Not thread-safe: used in the event loop.

    utterance: the answer in the speech queue, None before its first sentence. stopped: no more of it may be heard.
    kept: the text heard of it was added to the transcript. over: set when the utterance has ended or was interrupted.
    task: the task that makes the answer.
    """

    times: QuestionTimes
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    utterance: Utterance | None = None
    stopped: bool = False
    kept: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    _sentences: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)  # bounded by the answer's length
    _heard: dict[str, str] = field(default_factory=dict)  # text heard, by caption id
    _first: int = 0  # when the first sentence was complete

    @property
    def is_heard(self) -> bool:
        """Whether any of it was heard."""
        return bool(self._heard)

    def add_sentence(self, sentence: str) -> None:
        """Add a complete sentence."""
        self._first = self._first or now()
        self._sentences.put_nowait(sentence)

    def finish(self) -> None:
        """Mark the end of the sentences."""
        self._sentences.put_nowait(None)

    async def sentences(self) -> AsyncIterator[str]:
        """Yield the sentences in order, waiting for each, until `finish` is called."""
        while (sentence := await self._sentences.get()) is not None:
            yield sentence

    def follow(self, utterance: Utterance) -> None:
        """Follow the utterance's state: stop the answer when the utterance is interrupted."""
        if utterance.is_over:
            self.over.set()
            if utterance.state == "interrupted":
                self.stop()

    def stop(self) -> None:
        """Stop the answer and cancel the task that makes it."""
        self.stopped = True
        if self.task:
            self.task.cancel()

    def hear(self, caption: Caption) -> bool:
        """Note the text of a caption if it belongs to this answer; returns whether it does."""
        if self.utterance is None or not caption.id.startswith(f"{self.utterance.id}-"):
            return False
        self._heard[caption.id] = caption.text
        return True

    def line(self, *, final: bool) -> ConversationLine:
        """Return the transcript line with the text heard so far."""
        return ConversationLine(id=self.id, role="host", text=" ".join(self._heard.values()), final=final)

    def latency(self, heard: int) -> TurnLatency:
        """Return the latency of the answer. heard: time of its first sound, microseconds on the channel clock."""
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
