"""The lines of spoken texts, one per sentence, with the times at which they are heard, for captions and transcripts."""

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

    start, end: microseconds on the channel clock at which the program begins to play the audible part and has played
    it; null until known. words: times are seconds from `start`. cut: whether it was interrupted, at `end`. said: if
    cut, the text up to the word spoken at that time, estimated from the share of its sound; all of the text if its
    length was not known yet.
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
    """A line's range of samples in its utterance, from `first` up to, but without, `stop`.

    stop: None while the line is being written. words: their times are seconds from `first`.
    """

    first: int
    stop: int | None = None
    audible: AudibleSpan = field(default_factory=AudibleSpan)
    words: list[SpokenWord] = field(default_factory=list)

    @property
    def begin(self) -> int | None:
        """The first audible sample, None until it is known; for a silent sentence its first sample."""
        return self.first if self.audible.first is None and self.stop is not None else self.audible.first

    @property
    def end(self) -> int | None:
        """The sample after the last audible one, None while the line is being written."""
        return None if self.stop is None else self.audible.stop or self.stop

    def shifted_words(self) -> list[SpokenWord]:
        """Return the words with their times in seconds from the first audible sample."""
        lead = ((self.audible.first or self.first) - self.first) / SOUND_RATE_HZ
        return [SpokenWord(each.text, max(0.0, each.start - lead), max(0.0, each.end - lead)) for each in self.words]


class SpokenLines:
    """The lines of one utterance, derived from the sentences written into it and the samples sent from it."""

    def __init__(self, utterance: str) -> None:
        self._utterance = utterance
        self._lines: list[SpokenLine] = []
        self._spans: list[_Span] = []
        self._left: list[
            tuple[int, int, int]
        ] = []  # blocks that were sent: first sample, count, time of hearing; back to the oldest line without an end
        self._sent = 0

    def begin(self, text: str, sample: int) -> None:
        """Begin a sentence at this sample of the utterance; the previous sentence ends there."""
        self.finish(sample)
        self._lines.append(SpokenLine(f"{self._utterance}-{len(self._lines) + 1}", self._utterance, text))
        self._spans.append(_Span(sample))

    def add_words(self, words: Sequence[SpokenWord]) -> None:
        """Add words to the newest sentence, with times in seconds from its first sample."""
        if self._spans and words:
            self._spans[-1].words.extend(words)
            self._lines[-1].words = self._spans[-1].shifted_words()

    def add_written(self, samples: NDArray[np.int16], sample: int) -> None:
        """Note samples written for the newest sentence; `sample` is the index of the first in the utterance."""
        if self._spans and self._spans[-1].stop is None:
            span = self._spans[-1]
            silent = span.audible.first is None
            span.audible.add(samples, sample)
            if silent and span.words:
                self._lines[-1].words = span.shifted_words()

    def finish(self, sample: int) -> None:
        """End the newest sentence before this sample."""
        if self._spans and self._spans[-1].stop is None:
            self._spans[-1].stop = sample
            self._place()

    def add_sent(self, count: int, heard: int) -> None:
        """Note that `count` further samples were sent; the program plays the first of them at `heard`."""
        self._left.append((self._sent, count, heard))
        self._sent += count
        self._place()

    def rewind(self) -> None:
        """Forget what was sent: it was discarded before it was heard and will be sent again."""
        self._left.clear()
        self._sent = 0
        for line in self._lines:
            line.start = line.end = None

    def interrupt(self, at: int) -> None:
        """End the lines at `at`: nothing was heard after that time. Lines that would have begun later are removed."""
        if self._left:
            _, count, heard = self._left[-1]
            at = min(at, heard + count * US // SOUND_RATE_HZ)  # no more sound was sent
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
        """Return the lines whose first sound was sent, in order."""
        return [line for line in self._lines if line.start is not None]

    def line_at(self, at: int) -> SpokenLine | None:
        """Return the line that is heard at this time, None for silence."""
        for line in reversed(self._lines):
            if line.start is not None and line.start <= at and (line.end is None or at < line.end):
                return line
        return None

    def _place(self) -> None:
        """Set the start and end of each line as far as they are known, and forget sent blocks that no line needs."""
        for line, span in zip(self._lines, self._spans, strict=False):
            if line.start is None and span.begin is not None:
                line.start = self._time(span.begin, after=False)
            if line.end is None and span.end is not None and line.start is not None:
                line.end = self._time(span.end, after=True)
        wanted = [span.first for line, span in zip(self._lines, self._spans, strict=False) if line.end is None]
        oldest = min(wanted, default=self._sent)
        # Keep the last block: a sentence may be finished after all of its sound was sent, and then ends with that
        # block.
        self._left = [each for each in self._left[:-1] if each[0] + each[1] > oldest] + self._left[-1:]

    def _time(self, sample: int, *, after: bool) -> int | None:
        """Return when the program reaches the boundary before `sample`, None if no sent block contains it.

        after: the boundary is an end, so it belongs to the block before it; otherwise to the block that begins there.
        """
        for first, count, heard in self._left:
            if first < sample <= first + count if after else first <= sample < first + count:
                return heard + (sample - first) * US // SOUND_RATE_HZ
        return None


def _begun(text: str, share: float) -> str:
    """Return the text up to the end of the word being spoken after `share`, 0 to 1, of its sound."""
    end = text.find(" ", round(share * len(text)))
    return text if end < 0 else f"{text[:end]}…"
