"""What an agent says, segment after segment, as one line of sound that ticks take from.

The agent sends as fast as its synthesiser gives, or no faster than it speaks, or stalls. A segment begins when enough
of it is there for the engine to look ahead, when it is whole, or when it has been waited for that long; it continues
likewise after it ran dry. A segment that ran dry has not ended.
"""

import threading
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.runtime.clock import SOUND_RATE_HZ, US

# us of voice beyond what a face needs that are there before a segment begins. A voice that comes later than that by its
# own jitter costs a face, not sound. Voice comes in blocks of 20 ms mostly, and up to 2 ms of it stay in the resampler:
# with 85 ms of look-ahead five blocks are enough, and 15 ms would take a sixth.
JITTER_US = 12_000
MAX_WAITING_S = 600  # seconds of speech that may wait, about 58 MB; what comes beyond is not taken


@dataclass(slots=True)
class SpeechSegment:
    """One utterance of the agent. parts: (n,) int16 mono at 48 kHz, not yet taken. available: their samples."""

    number: int
    parts: deque[NDArray[np.int16]] = field(default_factory=deque)
    available: int = 0
    whole: bool = False

    def take(self, count: int) -> NDArray[np.int16]:
        """Up to `count` samples, off what is available."""
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
        """Up to `count` samples that `take` would give."""
        seen: list[NDArray[np.int16]] = []
        for part in self.parts:
            if count <= 0:
                break
            seen.append(part[:count])
            count -= len(seen[-1])
        return np.concatenate(seen) if seen else np.zeros(0, np.int16)


@dataclass(frozen=True, slots=True)
class SpeechSpan:
    """Where a segment lies in a tick's sound: `count` samples from sample `offset` on.

    first, last: its first and last samples are among them; a segment may end with a span of no samples.
    """

    segment: int
    offset: int
    count: int
    first: bool
    last: bool


@dataclass(frozen=True, slots=True)
class SaidTick:
    """A tick's sound. clears: how often the line had been cleared when it was taken; later ones make it void."""

    samples: NDArray[np.int16]
    spans: tuple[SpeechSpan, ...]
    clears: int


class SpeechLine:
    """Filled by the room's thread, taken from by the tick's. Thread-safe.

    refused: samples that came when too many waited.
    """

    def __init__(self, ahead_us: int) -> None:
        """ahead_us: microseconds of voice after a tick that its face needs."""
        self._guard = threading.Lock()
        self._segments: deque[SpeechSegment] = deque()
        self._count = 0
        self._clears = 0
        self._begun = -1  # number of the last segment of which something was taken
        self._flows = False
        self._enough = (ahead_us + JITTER_US) * SOUND_RATE_HZ // US
        self._patience = ahead_us + JITTER_US
        self._waiting: int | None = None  # since when something is there that does not flow, microseconds
        self.refused = 0

    @property
    def clears(self) -> int:
        """How often it was cleared."""
        return self._clears

    def begin(self) -> int:
        """A segment that follows all others; returns its number. They count up from 0."""
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
        """A segment is whole."""
        with self._guard:
            for each in self._segments:
                each.whole |= each.number == segment

    def clear(self) -> int:
        """Forget all that waits; returns the number after that of the last segment so far."""
        with self._guard:
            self._segments.clear()
            self._flows, self._waiting = False, None
            self._clears += 1
            return self._count

    def take(self, count: int, at: int) -> SaidTick:
        """The next `count` samples, silence where nothing is to be said. at: the clock now, microseconds."""
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
                elif filled < count:  # it ran dry
                    self._flows = False
                    break
                if filled == count:
                    break
            return SaidTick(samples, tuple(spans), self._clears)

    def coming(self, count: int) -> NDArray[np.int16]:
        """The samples after those taken so far, as far as they are known, at most `count`.

        Fewer while a segment flows of which more is awaited, else with silence at its end.
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
