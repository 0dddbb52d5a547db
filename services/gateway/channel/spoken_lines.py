"""Texts as they are spoken, sentence by sentence, with the times at which it is heard.

What captions and transcripts are made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.runtime.clock import SOUND_RATE_HZ, US
from shared.voices.api import SpokenWord
from shared.voices.audible import AudibleSpan


@dataclass(slots=True)
class SpokenLine:
    """A sentence of an utterance.

    start, end: microseconds on the channel clock at which the program plays the first of it that can be heard and has
    played the last; None until they are known. words: their times are seconds from `start`. cut: it was interrupted,
    and `end` is when. said: how much of the text until then, to the end of a word, by the share of its sound; all of it
    where its length was not known yet.
    """

    id: str
    utterance: str
    text: str
    words: list[SpokenWord] = field(default_factory=list)
    start: int | None = None
    end: int | None = None
    cut: bool = False
    said: str = ""


@dataclass(slots=True)
class _Span:
    """A line's samples in its utterance. stop: None while it is being written. words: in seconds from `first`."""

    first: int
    stop: int | None = None
    audible: AudibleSpan = field(default_factory=AudibleSpan)
    words: list[SpokenWord] = field(default_factory=list)

    @property
    def begin(self) -> int | None:
        """The first sample that can be heard, None until it is known; of a silent sentence its first."""
        return self.first if self.audible.first is None and self.stop is not None else self.audible.first

    @property
    def end(self) -> int | None:
        """The sample after the last that can be heard, None while it is being written."""
        return None if self.stop is None else self.audible.stop or self.stop

    def shifted_words(self) -> list[SpokenWord]:
        """The words with their times from the first sample that can be heard."""
        lead = ((self.audible.first or self.first) - self.first) / SOUND_RATE_HZ
        return [SpokenWord(each.text, max(0.0, each.start - lead), max(0.0, each.end - lead)) for each in self.words]


class SpokenLines:
    """The lines of one utterance, from the sentences that are written into it and the samples that leave it."""

    def __init__(self, utterance: str) -> None:
        self._utterance = utterance
        self._lines: list[SpokenLine] = []
        self._spans: list[_Span] = []
        self._left: list[
            tuple[int, int, int]
        ] = []  # sample, count and time at which it is heard, since the oldest open line
        self._sent = 0

    def begin(self, text: str, sample: int) -> None:
        """A sentence begins with this sample; the one before ends there."""
        self.finish(sample)
        self._lines.append(SpokenLine(f"{self._utterance}-{len(self._lines) + 1}", self._utterance, text))
        self._spans.append(_Span(sample))

    def add_words(self, words: Sequence[SpokenWord]) -> None:
        """Times of words of the sentence that was begun last, in seconds from its first sample."""
        if self._spans and words:
            self._spans[-1].words.extend(words)
            self._lines[-1].words = self._spans[-1].shifted_words()

    def add_written(self, samples: NDArray[np.int16], sample: int) -> None:
        """Sound of the sentence that was begun last, from this sample on."""
        if self._spans and self._spans[-1].stop is None:
            span = self._spans[-1]
            silent = span.audible.first is None
            span.audible.add(samples, sample)
            if silent and span.words:
                self._lines[-1].words = span.shifted_words()

    def finish(self, sample: int) -> None:
        """The last sentence ends before this sample."""
        if self._spans and self._spans[-1].stop is None:
            self._spans[-1].stop = sample
            self._place()

    def add_sent(self, count: int, heard: int) -> None:
        """So many further samples have left; the program plays the first at `heard`."""
        self._left.append((self._sent, count, heard))
        self._sent += count
        self._place()

    def rewind(self) -> None:
        """What has left was taken back before it was heard."""
        self._left.clear()
        self._sent = 0
        for line in self._lines:
            line.start = line.end = None

    def interrupt(self, at: int) -> None:
        """Silence since `at`: what was to be heard later was not."""
        if self._left:
            _, count, heard = self._left[-1]
            at = min(at, heard + count * US // SOUND_RATE_HZ)  # no more has left
        for line in self._lines:
            if line.start is not None and line.start >= at:
                line.start = line.end = None
        for line, span in zip(self._lines, self._spans, strict=False):
            if line.start is not None and (line.end is None or line.end > at):
                line.end, line.cut, line.said = at, True, line.text
                if span.begin is not None and span.end is not None:
                    whole = (span.end - span.begin) * US // SOUND_RATE_HZ
                    line.said = _begun(line.text, (at - line.start) / whole)
        self._lines = [line for line in self._lines if line.start is not None]
        self._spans.clear()

    def heard(self) -> list[SpokenLine]:
        """Those whose beginning has left, in order."""
        return [line for line in self._lines if line.start is not None]

    def line_at(self, at: int) -> SpokenLine | None:
        """The line that is heard at this time."""
        for line in reversed(self._lines):
            if line.start is not None and line.start <= at and (line.end is None or at < line.end):
                return line
        return None

    def _place(self) -> None:
        """Give the lines their times as far as they are known."""
        for line, span in zip(self._lines, self._spans, strict=False):
            if line.start is None and span.begin is not None:
                line.start = self._time(span.begin, after=False)
            if line.end is None and span.end is not None and line.start is not None:
                line.end = self._time(span.end, after=True)
        wanted = [span.first for line, span in zip(self._lines, self._spans, strict=False) if line.end is None]
        oldest = min(wanted, default=self._sent)
        # The last one stays: its end is the end of a sentence that is finished after all of it has left.
        self._left = [each for each in self._left[:-1] if each[0] + each[1] > oldest] + self._left[-1:]

    def _time(self, sample: int, *, after: bool) -> int | None:
        """When the boundary before this sample is heard: with what goes before it where it is an end (`after`)."""
        for first, count, heard in self._left:
            if first < sample <= first + count if after else first <= sample < first + count:
                return heard + (sample - first) * US // SOUND_RATE_HZ
        return None


def _begun(text: str, share: float) -> str:
    """A text up to the end of the word that is spoken when `share` of its sound has been heard, 0 to 1."""
    end = text.find(" ", round(share * len(text)))
    return text if end < 0 else f"{text[:end]}…"
