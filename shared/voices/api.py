"""The interface that every voice implements: text in, a stream of sound out.

Public as `persona_studio.voice`: it changes only with notice. A package adds a voice by an entry point of the group
`persona_studio.voices`, in the same way as an engine.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import ClassVar

from shared.errors import StudioError
from shared.unavailable import Unavailable as Unavailable
from shared.voices.settings import VoiceSettings


class VoiceError(StudioError):
    """A voice failed to speak; the message is one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A spoken word. start, end: seconds from the beginning of the text given to `speak`."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """A block of speech.

    pcm: 16 bit little-endian, mono. rate: 8000 to 96000 Hz, the same in all blocks of a sentence. words: words whose
    times became known with this block; empty for a voice that reports no times.
    """

    pcm: bytes
    rate: int
    words: tuple[SpokenWord, ...] = ()


class Voice(ABC):
    """Base class of voices. The constructor has no arguments and accesses nothing, so that voices can be listed.

    name: name of its entry point, 1 to 40 of a-z, 0-9 and "_", a letter first. title: name for people.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def settings(self) -> VoiceSettings | None:
        """Return the voice's own settings, read on each call; None for a voice without any. Raises StudioError."""
        return None

    def probe(self) -> Unavailable | None:
        """Return why the voice cannot speak on this machine, None if it can.

        Cheap: sends no request and starts no program. Raises StudioError.
        """
        return None

    @abstractmethod
    def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Yield the sound of one sentence while it is synthesised.

        Runs in an event loop that only voices use. Closing the generator, or cancelling the task that waits for it,
        ends the synthesis immediately. Raises VoiceError with one sentence.
        """
