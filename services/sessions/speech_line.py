"""Queue of an agent's speech, segment after segment, from which each tick takes its sound.

An agent may send faster than real time, in real time, or stall. A segment begins to play when it has enough samples for
the engine's look-ahead, when it is complete, or when it has waited for as long as that look-ahead. After it has run out
of samples without being complete, it continues by the same rule.
"""

import threading
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.runtime.clock import SOUND_RATE_HZ, US

# Microseconds of voice in addition to the look-ahead that must be available before a segment begins. If jitter delays
# the voice by more, a face is lost but no sound. Voice mostly comes in blocks of 20 ms, and the resampler keeps up to
# 2 ms of it: with a look-ahead of 85 ms five blocks are enough, while 15 ms here would require a sixth.
JITTER_US = 12_000
AHEAD_S = 0.2  # seconds of known speech that a room's queue gets in advance; the longest stall measured was 0.2 s
MAX_WAITING_S = 600  # seconds of speech that may wait, about 58 MB; further samples are refused


@dataclass(slots=True)
class SpeechSegment:
    """One utterance of the agent.

    parts: blocks of (n,) int16 mono at 48 kHz that have not been taken. available: number of their samples. whole:
    whether no more samples follow.
    """

    number: int
    parts: deque[NDArray[np.int16]] = field(default_factory=deque)
    available: int = 0
    whole: bool = False

    def take(self, count: int) -> NDArray[np.int16]:
        """Remove and return up to `count` samples."""
        taken: list[NDArray[np.int16]] = []
        while count and self.parts:
            part = self.parts.popleft()
            if len(part) > count:
                self.parts.appendleft(part[count:])
                part = part[:count]
            taken.append(part)
            count -= len(part)
            self.available -= len(part)
        return np.concatenate(taken) if taken else np.zeros(0, np.int16)

    def look(self, count: int) -> NDArray[np.int16]:
        """Return up to `count` samples without removing them."""
        seen: list[NDArray[np.int16]] = []
        for part in self.parts:
            if count <= 0:
                break
            seen.append(part[:count])
            count -= len(seen[-1])
        return np.concatenate(seen) if seen else np.zeros(0, np.int16)


@dataclass(frozen=True, slots=True)
class SpeechSpan:
    """The part of a segment in a tick's sound: `count` samples from sample `offset` on.

    first, last: whether the segment's first and last samples are among them; a segment may end with a span of 0
    samples.
    """

    segment: int
    offset: int
    count: int
    first: bool
    last: bool


@dataclass(frozen=True, slots=True)
class SaidTick:
    """A tick's sound.

    clears: the line's `clears` when it was taken; the sound is void if the line is cleared later. ahead: samples that
    the next ticks begin with unless the line is cleared, at most AHEAD_S of them.
    """

    samples: NDArray[np.int16]
    spans: tuple[SpeechSpan, ...]
    clears: int
    ahead: NDArray[np.int16]


class SpeechLine:
    """Queue of speech that the rooms' thread fills and the ticks' thread empties. Thread-safe.

    refused: number of samples that were refused because MAX_WAITING_S were waiting.
    """

    def __init__(self, ahead_us: int) -> None:
        """ahead_us: microseconds of voice after a tick that the tick's face needs."""
        self._guard = threading.Lock()
        self._segments: deque[SpeechSegment] = deque()
        self._count = 0
        self._clears = 0
        self._begun = -1  # number of the last segment from which samples were taken
        self._flows = False
        self._enough = (ahead_us + JITTER_US) * SOUND_RATE_HZ // US
        self._patience = ahead_us + JITTER_US
        self._waiting: int | None = None  # time since when samples wait for a segment to begin, microseconds
        self.refused = 0

    @property
    def clears(self) -> int:
        """How often the line was cleared."""
        return self._clears

    def begin(self) -> int:
        """Begin a segment after all others; returns its number, counted from 0."""
        with self._guard:
            self._segments.append(SpeechSegment(self._count))
            self._count += 1
            return self._count - 1

    def add(self, segment: int, samples: NDArray[np.int16]) -> None:
        """Add samples to a segment: (n,) int16 mono at 48 kHz. Samples of a cleared segment are ignored."""
        with self._guard:
            waiting = sum(each.available for each in self._segments)
            for each in self._segments:
                if each.number == segment and len(samples):
                    if waiting + len(samples) > MAX_WAITING_S * SOUND_RATE_HZ:
                        self.refused += len(samples)
                    else:
                        each.parts.append(samples)
                        each.available += len(samples)

    def finish(self, segment: int) -> None:
        """Mark a segment as complete."""
        with self._guard:
            for each in self._segments:
                each.whole |= each.number == segment

    def clear(self) -> int:
        """Discard all waiting samples; returns the number after that of the last segment so far."""
        with self._guard:
            self._segments.clear()
            self._flows, self._waiting = False, None
            self._clears += 1
            return self._count

    def take(self, count: int, at: int) -> SaidTick:
        """Take the next `count` samples, with silence between segments. at: the clock now, microseconds."""
        samples, spans = np.zeros(count, np.int16), []
        with self._guard:
            filled = 0
            while self._segments and self._may_flow(at):
                segment = self._segments[0]
                taken = segment.take(count - filled)
                ends = segment.whole and not segment.available
                if len(taken) or ends:
                    first = segment.number != self._begun and len(taken) > 0
                    spans.append(SpeechSpan(segment.number, filled, len(taken), first, ends))
                samples[filled : filled + len(taken)] = taken
                filled += len(taken)
                if len(taken):
                    self._begun = segment.number
                if ends:
                    self._segments.popleft()
                    self._flows = False
                elif filled < count:  # the segment has no more samples for now
                    self._flows = False
                    break
                if filled == count:
                    break
            return SaidTick(samples, tuple(spans), self._clears, self._ahead())

    def coming(self, count: int) -> NDArray[np.int16]:
        """Return the samples that follow those taken so far, as far as they are known, at most `count`.

        Fewer than `count` if the segment that plays is not complete yet; otherwise padded with silence.
        """
        found: list[NDArray[np.int16]] = []
        left = count
        with self._guard:
            for number, segment in enumerate(self._segments):
                if not (segment.whole or (self._flows if number == 0 else segment.available >= self._enough)):
                    break
                found.append(segment.look(left))
                left -= len(found[-1])
                if not segment.whole or left <= 0:
                    return np.concatenate(found)
        return np.concatenate([*found, np.zeros(left, np.int16)])

    def _ahead(self) -> NDArray[np.int16]:
        """Return the waiting samples of the segment that plays, at most AHEAD_S of them."""
        if not self._flows or not self._segments:
            return np.zeros(0, np.int16)
        return self._segments[0].look(round(AHEAD_S * SOUND_RATE_HZ))

    def _may_flow(self, at: int) -> bool:
        segment = self._segments[0]
        if self._flows or segment.whole or segment.available >= self._enough:
            self._flows, self._waiting = True, None
        elif not segment.available:
            self._waiting = None
        elif self._waiting is None:
            self._waiting = at
        elif at - self._waiting >= self._patience:
            self._flows, self._waiting = True, None
        return self._flows
