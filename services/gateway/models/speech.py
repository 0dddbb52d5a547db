"""Requests and answers of the speech queue, and answers about the voices that speak texts."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.channel.captions import Caption
from services.gateway.channel.spoken_lines import SpokenLine
from services.gateway.channel.text_speech import MAX_TEXT_CHARACTERS
from services.gateway.models.base import Answer


class TextToSay(BaseModel):
    """A text to speak. voice: a name of GET /api/v1/voices, "" for the studio's default."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=MAX_TEXT_CHARACTERS)
    voice: str = Field("", max_length=40)


class VoiceRow(Answer):
    """A voice.

    chosen: whether it is the default. unavailable, command: why it is not available here and the command that helps,
    else "".
    """

    name: str
    title: str
    chosen: bool
    unavailable: str
    command: str


class Voices(Answer):
    """The voices, in the order in which the default is chosen. note: how to get one if none is available, else ""."""

    voices: list[VoiceRow]
    note: str


class UtteranceRow(Answer):
    """An utterance.

    seconds: length of the sound received so far. complete: whether that is all of it. note: what went wrong with it,
    else "".
    """

    id: str
    title: str
    state: Literal["queued", "started", "ended", "interrupted"]
    seconds: float
    complete: bool
    note: str


class SpeechState(Answer):
    """The speech queue.

    queue: the current and the waiting utterances, in order. recent: the last ones that ended or were interrupted,
    newest first. ran_dry: how often an utterance had no sound ready in its middle. lines: the newest sentences of
    spoken texts, oldest first. saying: the sentence that is heard now, "" for silence and for speech without a text.
    """

    queue: list[UtteranceRow]
    recent: list[UtteranceRow]
    ran_dry: int
    lines: list[SpokenLine]
    saying: str


class CaptionsMessage(Answer):
    """Message of the state socket with the last captions, oldest first.

    It is sent when a caption begins, ends, or the time of its end becomes known.
    """

    captions: list[Caption]


class Interrupted(Answer):
    """Ids of the utterances that were dropped."""

    interrupted: list[str]
