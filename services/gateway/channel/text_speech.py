"""Text to speech for the queue: texts are synthesised one at a time, sentence by sentence, into utterances.

Synthesis runs in a separate thread and pauses while its utterance is full, so the event loop never waits for a voice
and memory is bounded. The rest runs in the event loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from services.gateway.channel.event_log import EventLog
from services.gateway.channel.speech_queue import SpeechQueue, Utterance
from shared.errors import StudioError
from shared.voices.api import Voice, VoiceError
from shared.voices.registry import open_voice
from shared.voices.sentences import sentences
from shared.voices.voice_thread import VoiceThread

MAX_TEXT_CHARACTERS = 10_000  # about ten minutes of speech; longer texts are for offline jobs
TITLE_CHARACTERS = 60
NOTHING_TO_SAY = "The text contains nothing that can be spoken; write a sentence."


class TextSpeech:
    """Speaks the texts of one channel. chosen: the default voice; "" for the first one available on this machine."""

    def __init__(self, queue: SpeechQueue, event_log: EventLog, chosen: str) -> None:
        self._queue, self._event_log, self._chosen = queue, event_log, chosen
        self._thread = VoiceThread()
        self._turn = asyncio.Lock()  # texts are synthesised one at a time, in the order of their arrival
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def add(
        self, text: str, voice: str = "", listener: Callable[[Utterance], None] | None = None
    ) -> tuple[Utterance, asyncio.Event]:
        """Queue a text.

        Return its utterance, and an event that is set at its first sound, or when synthesis ends without any. Raises
        StudioError if there is nothing to speak, no voice, or no room in the queue.
        """
        if len(text) > MAX_TEXT_CHARACTERS:
            raise StudioError(f"A text has at most {MAX_TEXT_CHARACTERS} characters here; send it in parts.")
        if not (parts := sentences(text)):
            raise StudioError(NOTHING_TO_SAY)
        opened = await asyncio.to_thread(open_voice, voice or self._chosen)  # in a thread: it may import a package
        return self._queue_sentences(opened, title_of(parts), _each(parts), listener)

    async def add_growing(
        self, first: str, following: AsyncIterator[str], listener: Callable[[Utterance], None]
    ) -> Utterance:
        """Queue a text that is still being written: its first sentence, then those that `following` yields.

        Raises StudioError if there is no voice or no room in the queue; `following` must not raise.
        """
        opened = await asyncio.to_thread(open_voice, self._chosen)
        return self._queue_sentences(opened, title_of([first]), _first_then(first, following), listener)[0]

    def _queue_sentences(
        self, voice: Voice, title: str, parts: AsyncIterator[str], listener: Callable[[Utterance], None] | None
    ) -> tuple[Utterance, asyncio.Event]:
        begun = asyncio.Event()

        def hear(utterance: Utterance) -> None:
            if utterance.is_over and (task := self._tasks.pop(utterance.id, None)) and not utterance.complete:
                task.cancel()  # interrupted: stop the synthesis immediately
            if listener:
                listener(utterance)

        utterance = self._queue.add(title, hear, patient=True)
        task = asyncio.ensure_future(self._fill(utterance, voice, parts, begun))
        self._tasks[utterance.id] = task
        return utterance, begun

    async def _fill(self, utterance: Utterance, voice: Voice, parts: AsyncIterator[str], begun: asyncio.Event) -> None:
        try:
            async with self._turn:
                async for sentence in parts:
                    await self._say(utterance, voice, sentence, begun)
        except VoiceError as error:
            utterance.note = str(error)
            self._event_log.add(str(error), "error")
        finally:
            utterance.finish()
            begun.set()

    async def _say(self, utterance: Utterance, voice: Voice, sentence: str, begun: asyncio.Event) -> None:
        utterance.lines.begin(sentence, utterance.received)
        async with aclosing(self._thread.spoken(voice, sentence)) as spoken:
            async for part in spoken:
                utterance.lines.add_words(part.words)
                if len(part.samples):
                    await utterance.write(part.samples)
                    begun.set()

    def cancel_tasks(self) -> None:
        """Stop all synthesis. Called in the event loop, before `close`."""
        for task in self._tasks.values():
            task.cancel()

    def close(self) -> None:
        """Stop the synthesis thread. Called in a worker thread at shutdown."""
        self._thread.close()


async def _each(parts: list[str]) -> AsyncIterator[str]:
    for part in parts:
        yield part


async def _first_then(first: str, following: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for part in following:
        yield part


def title_of(parts: list[str]) -> str:
    """Return the title of a text: its first sentence, shortened."""
    first = parts[0].rstrip(".。")
    return first if len(first) <= TITLE_CHARACTERS else f"{first[: TITLE_CHARACTERS - 1].rstrip()}…"
