"""Requests and answers of the speech queue, and answers about the voices that speak texts."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.channel.captions import Caption
from services.gateway.channel.spoken_lines import SpokenLine
from services.gateway.channel.text_speech import MAX_TEXT_CHARACTERS
from services.gateway.models.base import Answer


class TextToSay(BaseModel):
    """A text that is spoken by a voice; `voice` is one of GET /api/v1/voices, "" the studio's own choice."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=MAX_TEXT_CHARACTERS)
    voice: str = Field("", max_length=40)


class VoiceRow(Answer):
    """A voice.

    chosen: it speaks where none is named. unavailable, command: why it cannot speak here and what helps, else "".
    """

    name: str
    title: str
    chosen: bool
    unavailable: str
    command: str


class Voices(Answer):
    """The voices, in the order in which one is looked for. note: how to get one where none can speak here, else ""."""

    voices: list[VoiceRow]
    note: str


class UtteranceRow(Answer):
    """One thing to say.

    seconds: of sound received so far. complete: whether that is all of it. note: what went wrong with it, else "".
    """

    id: str
    title: str
    state: Literal["queued", "started", "ended", "interrupted"]
    seconds: float
    complete: bool
    note: str


class SpeechState(Answer):
    """The speech queue.

    queue: what is being said and waits, in order. recent: the last that are over, newest first. ran_dry: how often an
    utterance had no sound ready in its middle. lines: the sentences of texts that were begun last, oldest first.
    saying: the sentence that is heard now, "" where it is none of a text.
    """

    queue: list[UtteranceRow]
    recent: list[UtteranceRow]
    ran_dry: int
    lines: list[SpokenLine]
    saying: str


class CaptionsMessage(Answer):
    """What the state socket sends in addition to the state, as soon as a caption begins, is over or has its end known.

    The last captions, oldest first.
    """

    captions: list[Caption]


class Interrupted(Answer):
    """Ids of the utterances that were dropped."""

    interrupted: list[str]
