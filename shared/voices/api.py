"""The interface that every voice implements: text in, sound out as it is made.

Public as `persona_studio.voice`: what is here changes with notice only. A package adds a voice by an entry point of the
group `persona_studio.voices`, as it adds an engine.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import ClassVar

from shared.errors import StudioError
from shared.unavailable import Unavailable as Unavailable
from shared.voices.settings import VoiceSettings


class VoiceError(StudioError):
    """A voice could not speak: one sentence with the way out."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as it is spoken. start, end: seconds from the beginning of what `speak` was given."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """A block of speech.

    pcm: 16 bit little-endian, mono. rate: 8000 to 96000 Hz, the same in all blocks of a sentence. words: those whose
    times became known with this block; none from a voice that tells no times.
    """

    pcm: bytes
    rate: int
    words: tuple[SpokenWord, ...] = ()


class Voice(ABC):
    """A voice. Made without arguments and without looking at anything, so that it can be listed.

    name: of its entry point, 1 to 40 of a-z, 0-9 and "_", a letter first. title: for people.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def settings(self) -> VoiceSettings | None:
        """The voice's own settings, read on each call; None for a voice that has none. Raises StudioError."""
        return None

    def probe(self) -> Unavailable | None:
        """Why it cannot speak here, None where it can.

        Cheap: asks no server and starts no program. Raises StudioError.
        """
        return None

    @abstractmethod
    def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Yield the sound of one sentence as it is made.

        Runs in an event loop that voices have for themselves; closing the generator, or cancelling what waits for it,
        ends the synthesis at once. Raises VoiceError in one sentence.
        """
