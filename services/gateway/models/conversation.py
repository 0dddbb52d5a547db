"""Requests and answers of the conversation, and the messages of its WebSockets."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.models.base import Answer

MOST_QUESTION_CHARACTERS = 2000
MOST_AUTHOR_CHARACTERS = 60

TalkState = Literal["listening", "hearing", "thinking", "speaking"]


class Conversation(Answer):
    """Whether one can talk with the host. why: the reason where one cannot, else ""."""

    available: bool
    why: str
    viewers_may_talk: bool


class ConversationState(Answer):
    """The host listens, a person is speaking, the host looks for an answer, or gives it."""

    type: Literal["state"] = "state"
    state: TalkState


class ConversationLine(Answer):
    """A line of the transcript, sent again with the same id while it grows. text: of the host what was heard."""

    type: Literal["line"] = "line"
    id: str
    role: Literal["person", "host"]
    text: str
    final: bool


class TurnLatency(Answer):
    """How long an answer took, in milliseconds, from the last sound of the question to the first of the answer.

    vad_ms: until it was known that the person had finished. speech_to_text_ms: until that was text. chat_ms: until
    the first sentence of the answer was whole. voice_ms: until the program plays it. A typed question has none of the
    first two.
    """

    type: Literal["latency"] = "latency"
    vad_ms: int
    speech_to_text_ms: int
    chat_ms: int
    voice_ms: int
    total_ms: int


class ConversationError(Answer):
    """What went wrong, in a sentence; the host listens again."""

    type: Literal["error"] = "error"
    detail: str


TalkMessage = ConversationState | ConversationLine | TurnLatency | ConversationError


class ChatLine(BaseModel):
    """A line of a livestream's chat."""

    model_config = ConfigDict(extra="forbid", strict=True)

    author: str = Field("", max_length=MOST_AUTHOR_CHARACTERS)
    text: str = Field(max_length=MOST_QUESTION_CHARACTERS)


class ChatLineTaken(Answer):
    """The line is answered when its turn comes. waiting: lines before it."""

    waiting: int
