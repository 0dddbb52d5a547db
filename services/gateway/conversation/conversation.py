"""The conversation of a channel: turns of speech and typed questions in, spoken answers of the host out.

The host stops speaking as soon as a person begins to speak.

A question is answered once no one is speaking and nothing is being transcribed. If the same person goes on before any
of the answer was heard, the earlier question is answered together with the new one. A question that was interrupted,
that failed or that another person asked is left out of the next request. All of it runs in the event loop.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import aclosing

from services.gateway.channel.captions import Caption
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.speech_queue import SpeechQueue
from services.gateway.channel.text_speech import TextSpeech
from services.gateway.conversation.answer import HostAnswer, QuestionTimes
from services.gateway.conversation.chat import BrokenOffError, SentenceStream, chat_answer, chat_server
from services.gateway.conversation.chat_lines import ChatLines
from services.gateway.conversation.history import History
from services.gateway.conversation.speech_to_text import speech_to_text_server, transcribed
from services.gateway.conversation.talker import Talker
from services.gateway.conversation.vad import TurnEnded
from services.gateway.models.conversation import (
    ConversationError,
    ConversationLine,
    ConversationState,
    TalkMessage,
    TalkState,
)
from shared.config.conversation import ConversationSettings
from shared.errors import StudioError
from shared.openai_server import OpenAIServer
from shared.runtime.clock import now
from shared.runtime.logs import get_logger

log = get_logger()
MOST_TURNS = 2  # turns that may wait for their transcription: a minute of speech
QUIET_S = 5.0  # pause after a talker's last turn and its answer before a chat line is answered
NO_QUESTION = "The text contains nothing to answer; write a question."
TOO_SLOW = "The speech-to-text server cannot keep up; wait for the host to answer before you go on."
FOR_VIEWERS = "The host cannot answer just now; try again later."  # only the operator sees the reason
FAILED = "The studio could not give an answer; its log says why."
TALKING = "Another person is talking with the host; try again when they have finished."


class TalkerPresentError(StudioError):
    """Raised when another person is already talking with the host."""


class HostConversation:
    """The channel's conversation: at any time either one talker or chat lines, and at most one answer.

    want_speech: makes speech the driver, or raises StudioError if that is not possible.
    """

    def __init__(
        self, texts: TextSpeech, speech: SpeechQueue, want_speech: Callable[[], None], event_log: EventLog
    ) -> None:
        self.chat_lines = ChatLines()
        self._texts, self._speech, self._want_speech, self._event_log = texts, speech, want_speech, event_log
        self._history = History()
        self._talker: Talker | None = None
        self._turns: asyncio.Queue[tuple[TurnEnded, int]] = asyncio.Queue(MOST_TURNS)
        self._writing: asyncio.Future[str] | None = None  # transcription of a turn, while it runs
        self._due: QuestionTimes | None = None  # times of the question to answer next
        self._asker: Talker | None = None  # who asked the last question; None for a chat line
        self._talked_at = -QUIET_S  # monotonic seconds at which a talker, or an answer to them, was last heard
        self._later: asyncio.TimerHandle | None = None  # calls `_go_on` when a chat line may be answered
        self._answer: HostAnswer | None = None
        self._state: TalkState = "listening"
        self._settings: ConversationSettings | None = None
        self._servers: tuple[OpenAIServer, OpenAIServer] | None = None
        self._closing: list[asyncio.Future[None]] = []  # closing the clients of earlier settings
        speech.captions.add_listener(self._hear_host)

    def join(self, settings: ConversationSettings, *, operator: bool) -> Talker:
        """Become the person who talks with the host. Raises TalkerPresentError."""
        if self._talker is not None:
            raise TalkerPresentError(TALKING)
        self.use(settings)
        if not operator:
            self._history.forget()
            self._due = None
        self._talked_at = time.monotonic() - QUIET_S
        self._talker = Talker(self, settings.end_of_turn_ms, operator=operator)
        self._talker.tell(ConversationState(state=self._state))
        return self._talker

    def leave(self, talker: Talker) -> None:
        """Let another person talk. A question already transcribed is still answered; pending turns are dropped."""
        if self._talker is talker:
            self._drop_turns()
            self._talker = None
            self._go_on()

    def use(self, settings: ConversationSettings) -> None:
        """Use the servers of these settings from now on."""
        if settings != self._settings:
            self._closing = [asyncio.ensure_future(server.close()) for server in self._servers or ()]
            self._settings, self._servers = settings, (speech_to_text_server(settings), chat_server(settings))

    def begin_turn(self) -> None:
        """Silence the host immediately, because the talker has begun to speak."""
        self._talked_at = time.monotonic()
        self._stop_host(answered=False)
        self._show_state()

    def end_turn(self, turn: TurnEnded) -> None:
        """Queue a talker's finished turn for transcription; an empty turn was only a noise."""
        self._talked_at = time.monotonic()
        if turn.pcm:
            try:
                self._turns.put_nowait((turn, now()))
            except asyncio.QueueFull:
                self._fail(TOO_SLOW, self._talker)
        self._go_on()

    def ask(self, text: str) -> None:
        """Answer a typed question; like speech, it stops the host."""
        if not any(char.isalnum() for char in text):
            self._tell(ConversationError(detail=NO_QUESTION))
            return
        self._talked_at = time.monotonic()
        self._stop_host(answered=False)
        self._take_in(text, QuestionTimes.typed(), self._talker)
        self._go_on()

    def interrupt(self) -> None:
        """Stop the host and drop all questions asked so far."""
        self._drop_turns()
        self._due = None
        self._stop_host(answered=True)
        self._show_state()

    def _drop_turns(self) -> None:
        """Drop the turns that are not transcribed yet."""
        while not self._turns.empty():
            self._turns.get_nowait()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def add_chat_line(self, settings: ConversationSettings, author: str, text: str) -> int:
        """Queue a chat line for an answer; return how many wait before it. Raises StudioError."""
        if not any(char.isalnum() for char in text):
            raise StudioError(NO_QUESTION)
        waiting = self.chat_lines.add(author, text)
        self.use(settings)
        self._go_on()
        return waiting

    async def run(self) -> None:
        """Transcribe turns until cancelled."""
        while True:
            turn, decided = await self._turns.get()
            writing = self._writing = asyncio.ensure_future(self._written(turn))
            (found,) = await asyncio.gather(writing, return_exceptions=True)
            if self._writing is writing:  # otherwise the turn was dropped
                self._writing = None
                if isinstance(found, StudioError):
                    self._fail(str(found), self._talker)
                elif isinstance(found, BaseException):
                    raise found
                elif found:
                    self._take_in(found, QuestionTimes(turn.delay_ms, decided, now()), self._talker)
            self._go_on()

    async def _written(self, turn: TurnEnded) -> str:
        assert self._settings and self._servers
        return await transcribed(self._servers[0], self._settings, turn.pcm)

    def _take_in(self, text: str, times: QuestionTimes, asker: Talker | None) -> None:
        if self._due is None or asker is not self._asker:
            self._history.drop_unanswered()
        self._history.add_person(text)
        self._tell(ConversationLine(id=secrets.token_hex(6), role="person", text=text, final=True))
        self._due, self._asker = times, asker

    def _go_on(self) -> None:
        """Begin the next answer if a question is due, no one is speaking and nothing is being transcribed."""
        hearing = self._talker is not None and self._talker.in_turn
        if self._answer is None and not (hearing or self._writing or self._turns.qsize()):
            if self._due is None and (line := self._chat_line()) is not None:
                self._take_in(line, QuestionTimes.typed(), None)
            if self._due is not None:
                self._answer, self._due = HostAnswer(self._due), None
                self._answer.task = asyncio.ensure_future(self._give(self._answer))
                self._answer.task.add_done_callback(self._end_answer)
        self._show_state()

    def _chat_line(self) -> str | None:
        """Return the chat line to answer now, None if none is waiting or a talker has not been quiet for QUIET_S."""
        wait = self._talked_at + QUIET_S - time.monotonic()
        if self._talker is None or wait <= 0:
            return self.chat_lines.next()
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(wait, self._go_on)
        return None

    async def _give(self, answer: HostAnswer) -> None:
        try:
            await self._ask_server(answer)
        except StudioError as error:
            self._fail(str(error), self._asker)
        finally:
            answer.finish()
        if answer.utterance is not None:
            await answer.over.wait()
            if answer.utterance.note:
                self._fail(answer.utterance.note, self._asker, logged=True)

    def _end_answer(self, task: asyncio.Task[None]) -> None:
        """Clean up after an answer, however it ended, even if it was stopped before it began."""
        if not task.cancelled() and (error := task.exception()):
            log.error("answer_failed", exc_info=error)
            self._fail(FAILED, self._asker)
        answer, self._answer = self._answer, None
        if answer is not None:
            self._keep(answer)
        self._go_on()

    def _keep(self, answer: HostAnswer) -> None:
        """Add the heard text of a finished answer to history and transcript, before any later line of a person."""
        if answer.kept:
            return
        answer.kept = True
        if answer.is_heard:
            line = answer.line(final=True)
            self._history.add_host(line.text)
            self._tell(line)
            if self._asker is not None:
                self._talked_at = time.monotonic()

    async def _ask_server(self, answer: HostAnswer) -> None:
        """Ask the chat server, and queue each sentence for the voice as soon as it is complete. Raises StudioError."""
        assert self._settings and self._servers
        settings, stream = self._settings, SentenceStream()
        self._want_speech()
        messages = await self._history.messages(settings)
        async with aclosing(chat_answer(self._servers[1], settings.chat_model, messages)) as pieces:
            try:
                async for piece in pieces:
                    await self._speak(answer, stream.feed(piece))
            except BrokenOffError:
                await self._speak(answer, stream.finish())
                raise
        await self._speak(answer, stream.finish())
        if answer.utterance is None:
            raise StudioError(f"{self._servers[1].name} gave an answer that cannot be spoken; ask again.")

    async def _speak(self, answer: HostAnswer, sentences: list[str]) -> None:
        for sentence in sentences:
            if answer.utterance is None:
                answer.add_sentence(sentence)
                first = await anext(answer.sentences())
                answer.utterance = await self._texts.add_growing(first, answer.sentences(), answer.follow)
            else:
                answer.add_sentence(sentence)

    def _stop_host(self, *, answered: bool) -> None:
        """Stop the host's answer immediately.

        answered: count the question as answered. Otherwise a question without any heard answer is due again, unless its
        answer was stopped before.
        """
        answer = self._answer
        stopped = answer is None or answer.stopped
        if self._talker is not None and self._talker.operator:
            self._speech.interrupt()
        elif answer is not None and answer.utterance is not None:
            self._speech.cancel(answer.utterance.id)  # a viewer may not stop any other speech
        if answer is not None:
            answer.stop()
            self._keep(answer)
            if self._history.is_unanswered and not (answered or stopped):
                self._due = answer.times

    def _hear_host(self, caption: Caption) -> None:
        answer = self._answer
        if answer is None or answer.kept:
            return
        first = not answer.is_heard
        if answer.hear(caption):
            if first:
                self._tell(answer.latency(caption.start))
            self._tell(answer.line(final=False))
            self._show_state()

    def _show_state(self) -> None:
        state = self._state_now()
        if state != self._state:
            self._state = state
            self._tell(ConversationState(state=state))

    def _state_now(self) -> TalkState:
        if self._talker is not None and self._talker.in_turn:
            return "hearing"
        if self._answer is not None and not self._answer.stopped:
            return "speaking" if self._answer.is_heard else "thinking"
        return "thinking" if self._writing or self._turns.qsize() or self._due is not None else "listening"

    def _tell(self, message: TalkMessage) -> None:
        if self._talker is not None:
            self._talker.tell(message)

    def _fail(self, sentence: str, asker: Talker | None, *, logged: bool = False) -> None:
        """Report an error in answering `asker`.

        The event log and the operator's page get the sentence; a viewer who asked gets FOR_VIEWERS instead. logged: the
        sentence is in the event log already.
        """
        if not logged:
            self._event_log.add(sentence, "error")
        if self._talker is not None and self._talker.operator:
            self._tell(ConversationError(detail=sentence))
        elif self._talker is asker:
            self._tell(ConversationError(detail=FOR_VIEWERS))

    async def close(self) -> None:
        """Stop the answer and close the connections to the servers."""
        if self._later is not None:
            self._later.cancel()
        if self._answer is not None:
            self._answer.stop()
        for server in self._servers or ():
            await server.close()
