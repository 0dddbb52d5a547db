"""Texts as they are spoken, sentence by sentence, with the times at which it is heard: what captions and transcripts are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.runtime.clock import SOUND_RATE_HZ, US
from shared.voices.api import SpokenWord


@dataclass(slots=True)
class SpokenLine:
    """A sentence of an utterance.

    start, end: microseconds on the channel clock at which the program plays its first sample and has played its last; None
    until they are known. words: their times are seconds from the sentence's beginning. cut: it was interrupted, and `end` is
    when.
    """

    utterance: str
    text: str
    words: list[SpokenWord] = field(default_factory=list)
    start: int | None = None
    end: int | None = None
    cut: bool = False


class SpokenLines:
    """The lines of one utterance, from the sentences that are written into it and the samples that leave it."""

    def __init__(self, utterance: str) -> None:
        self._utterance = utterance
        self._lines: list[SpokenLine] = []
        self._spans: list[tuple[int, int | None]] = []  # samples of each line; no end while it is being written
        self._left: list[
            tuple[int, int, int]
        ] = []  # sample, count and time at which it is heard, since the oldest open line
        self._sent = 0

    def begin(self, text: str, sample: int) -> None:
        """A sentence begins with this sample; the one before ends there."""
        self.finish(sample)
        self._lines.append(SpokenLine(self._utterance, text))
        self._spans.append((sample, None))

    def add_words(self, words: Sequence[SpokenWord]) -> None:
        """Times of words of the sentence that was begun last."""
        if self._lines:
            self._lines[-1].words.extend(words)

    def finish(self, sample: int) -> None:
        """The last sentence ends before this sample."""
        if self._spans and self._spans[-1][1] is None:
            self._spans[-1] = self._spans[-1][0], sample
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
        self._lines = [line for line in self._lines if line.start is not None and line.start < at]
        self._spans.clear()
        for line in self._lines:
            if line.end is None or line.end > at:
                line.end, line.cut = at, True

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
        for line, (first, stop) in zip(self._lines, self._spans, strict=False):
            if line.start is None:
                line.start = self._time(first, after=False)
            if line.end is None and stop is not None and line.start is not None:
                line.end = self._time(stop, after=True)
        wanted = [first for line, (first, _) in zip(self._lines, self._spans, strict=False) if line.end is None]
        oldest = min(wanted, default=self._sent)
        # The last one stays: its end is the end of a sentence that is finished after all of it has left.
        self._left = [each for each in self._left[:-1] if each[0] + each[1] > oldest] + self._left[-1:]

    def _time(self, sample: int, *, after: bool) -> int | None:
        """When the boundary before this sample is heard: with what goes before it where it is an end (`after`)."""
        for first, count, heard in self._left:
            if first < sample <= first + count if after else first <= sample < first + count:
                return heard + (sample - first) * US // SOUND_RATE_HZ
        return None
