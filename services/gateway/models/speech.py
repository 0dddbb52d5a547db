"""Answers about the speech queue."""

from typing import Literal

from services.gateway.models.base import Answer


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
    utterance had no sound ready in its middle.
    """

    queue: list[UtteranceRow]
    recent: list[UtteranceRow]
    ran_dry: int


class Interrupted(Answer):
    """Ids of the utterances that were dropped."""

    interrupted: list[str]
