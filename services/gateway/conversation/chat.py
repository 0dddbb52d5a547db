"""Client for a server with OpenAI's chat API (`/v1/chat/completions`): streamed answers, split into sentences."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from shared.config.conversation import ConversationSettings
from shared.openai_server import OpenAIServer, ServerError, error_words
from shared.voices.sentences import LOOKED_AHEAD, sentences

PATIENCE_S = 20.0  # longest wait for the first part of an answer, and between two parts
ANSWER_S = 120.0  # longest duration of a whole answer
MOST_CHARACTERS = 4000  # length of an answer, about four minutes of speech; longer ones are cut
MOST_LINE_BYTES = 256 << 10
MOST_BYTES = 4 << 20
EVENT_WORDS = (b":", b"event:", b"id:", b"retry:")  # lines of an event stream that are not data
END_MARK = b"[DONE]"
UNSPOKEN = str.maketrans("", "", "*`|")  # Markdown characters that a voice would read out
THOUGHT, THOUGHT_END = "<think>", "</think>"  # tags around the reasoning with which some models begin


def chat_server(settings: ConversationSettings) -> OpenAIServer:
    """Return a client for the configured chat server."""
    key = settings.chat_key.get_secret_value()
    return OpenAIServer("chat server", "answer", settings.chat_url, key, settings.variable("chat"), PATIENCE_S)


async def chat_answer(
    server: OpenAIServer, model: str, messages: Sequence[dict[str, str]]
) -> AsyncGenerator[str, None]:
    """Yield the spoken text of an answer in pieces as they arrive, at most MOST_CHARACTERS in total.

    Raises ServerError if the server fails, stalls or sends something else, and its subclass BrokenOffError if the
    stream ends without an end mark or a finish reason.
    """
    count, ended = 0, False
    asked = {"model": model, "messages": list(messages), "stream": True}
    try:
        async with asyncio.timeout(ANSWER_S), server.answer("/chat/completions", json=asked) as answer:
            spoken = _Spoken()
            streamed = not answer.headers.get("content-type", "").lower().startswith("application/json")
            async for data in (
                _events(server, answer.aiter_bytes()) if streamed else _whole(server, answer.aiter_bytes())
            ):
                if data == END_MARK:
                    ended = True
                    break
                text, reason = _content(server, data)
                ended = ended or reason or not streamed
                piece = spoken.feed(text)[: MOST_CHARACTERS - count]
                count += len(piece)
                if piece:
                    yield piece
                if count >= MOST_CHARACTERS:
                    return
    except TimeoutError:
        raise ServerError(f"{server.name} did not finish its answer in time; is it overloaded?") from None
    if not count:
        raise ServerError(f"{server.name} gave no answer; ask again, or check {server.setting}_MODEL.")
    if not ended:
        raise BrokenOffError(f"{server.name} stopped in the middle of an answer; ask again.")


async def _events(server: OpenAIServer, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the data of an event stream, line by line; an unterminated last line is ignored. Raises ServerError."""
    held, total = b"", 0
    async for block in blocks:
        total += len(block)
        *lines, held = (held + block).split(b"\n")
        if len(held) > MOST_LINE_BYTES or total > MOST_BYTES:
            raise _no_stream(server)
        for line in lines:
            line = line.strip()
            if line.startswith(b"data:"):
                yield line.removeprefix(b"data:").strip()
            elif line and not line.startswith(EVENT_WORDS):
                raise _no_stream(server)


async def _whole(server: OpenAIServer, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the complete body of a server that does not stream. Raises ServerError if it is too long."""
    body = b""
    async for block in blocks:
        body += block
        if len(body) > MOST_LINE_BYTES:
            raise _no_stream(server)
    yield body


def _content(server: OpenAIServer, data: bytes) -> tuple[str, bool]:
    """Return the text in one event of an answer, "" for none, and whether the event has a finish reason.

    Raises ServerError.
    """
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise _no_stream(server) from None
    if not isinstance(found, dict):
        raise _no_stream(server)
    if found.get("error"):
        words = server.without_key(error_words(found))
        raise ServerError(
            f"{server.name} failed in the middle of an answer{f' ({words})' if words else ''}; ask again."
        )
    choices = found.get("choices")
    if not isinstance(choices, list):
        raise _no_stream(server)
    choice = choices[0] if choices else {}
    part = choice.get("delta", choice.get("message", {})) if isinstance(choice, dict) else {}
    text = part.get("content") if isinstance(part, dict) else None
    reason = choice.get("finish_reason") if isinstance(choice, dict) else None
    return text if isinstance(text, str) else "", bool(reason)


def _no_stream(server: OpenAIServer) -> ServerError:
    return ServerError(
        f"{server.name} sends something that is not a streamed chat; check {server.setting}_URL, which ends with /v1."
    )


class BrokenOffError(ServerError):
    """Raised when a stream ends before the answer is complete; the part that was received may be spoken."""


class _Spoken:
    """Filter that keeps the spoken part of an answer: removes the reasoning before it and Markdown characters."""

    def __init__(self) -> None:
        self._held, self._begun, self._in_thought = "", False, False
        self._line_begins = True

    def feed(self, piece: str) -> str:
        """Return the part of the next piece that is spoken."""
        if self._begun:
            return self._unmarked(piece)
        self._held += piece
        if not self._in_thought:
            head = self._held.lstrip()
            if len(head) < len(THOUGHT) and THOUGHT.startswith(head):
                return ""
            self._in_thought = head.startswith(THOUGHT)
        if self._in_thought:
            _, end, rest = self._held.partition(THOUGHT_END)
            self._held = rest if end else self._held[-len(THOUGHT_END) :]
            if not end:
                return ""
        self._begun = True
        return self._unmarked(self._held)

    def _unmarked(self, piece: str) -> str:
        """Remove Markdown characters, and # at the beginning of a line."""
        kept = []
        for char in piece.translate(UNSPOKEN):
            self._line_begins = char == "\n" or (self._line_begins and char in "# ")
            if not (self._line_begins and char == "#"):
                kept.append(char)
        return "".join(kept)


class SentenceStream:
    """Splits a growing text into sentences. A sentence is returned once enough text follows to be sure of its end."""

    def __init__(self) -> None:
        self._text = ""
        self._given = 0

    def feed(self, piece: str) -> list[str]:
        """Add text; return the sentences that it completes."""
        self._text += piece
        found = sentences(self._text)
        last = len(found) - 1
        if found and len(found[-1]) < LOOKED_AHEAD:
            last -= 1
        return self._next(found[: max(0, last)])

    def finish(self) -> list[str]:
        """Return the remaining sentences: the answer is complete."""
        return self._next(sentences(self._text))

    def _next(self, found: list[str]) -> list[str]:
        new = found[self._given :]
        self._given += len(new)
        return new
