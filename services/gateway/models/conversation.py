"""Requests and answers of the conversation, and the messages of its WebSockets."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.models.base import Answer

MOST_QUESTION_CHARACTERS = 2000
MOST_AUTHOR_CHARACTERS = 60

TalkState = Literal["listening", "hearing", "thinking", "speaking"]


class Conversation(Answer):
    """Whether it is possible to talk with the host. why: the reason if not, else ""."""

    available: bool
    why: str
    viewers_may_talk: bool


class ConversationState(Answer):
    """State of the conversation.

    state: listening, hearing (a person is speaking), thinking (an answer is awaited) or speaking.
    """

    type: Literal["state"] = "state"
    state: TalkState


class ConversationLine(Answer):
    """A line of the transcript, sent again with the same id while it grows.

    text: for the host, the part that was heard.
    """

    type: Literal["line"] = "line"
    id: str
    role: Literal["person", "host"]
    text: str
    final: bool


class TurnLatency(Answer):
    """How long an answer took, in milliseconds, from the last sound of the question to the first of the answer.

    vad_ms: until the end of the question was detected. speech_to_text_ms: from then until it was transcribed. chat_ms:
    from then until the first sentence of the answer was complete. voice_ms: from then until the program played it. The
    first two are 0 for a typed question.
    """

    type: Literal["latency"] = "latency"
    vad_ms: int
    speech_to_text_ms: int
    chat_ms: int
    voice_ms: int
    total_ms: int


class ConversationError(Answer):
    """An error, in one sentence; the conversation continues."""

    type: Literal["error"] = "error"
    detail: str


TalkMessage = ConversationState | ConversationLine | TurnLatency | ConversationError


class ChatLine(BaseModel):
    """A line of a livestream's chat."""

    model_config = ConfigDict(extra="forbid", strict=True)

    author: str = Field("", max_length=MOST_AUTHOR_CHARACTERS)
    text: str = Field(max_length=MOST_QUESTION_CHARACTERS)


class ChatLineTaken(Answer):
    """The line was queued for an answer. waiting: number of lines before it."""

    waiting: int
