"""How much of each segment of speech was heard, by which an interrupted agent's transcript is cut."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from services.sessions.speech_line import SpeechSpan
from shared.runtime.clock import SOUND_RATE_HZ


@dataclass(slots=True)
class SegmentHeard:
    """How much of a segment of speech has been heard.

    leaving: (loop time at which it begins to be heard, number of samples) of each span. timers: pending reports'
        timers.
    """

    leaving: list[tuple[float, int]] = field(default_factory=list)
    timers: list[asyncio.TimerHandle] = field(default_factory=list)

    def seconds(self, at: float) -> float:
        """Return how many seconds were heard by the loop time `at`."""
        whole = (min(max(at - leaves, 0.0), count / SOUND_RATE_HZ) for leaves, count in self.leaving)
        return sum(whole)

    def cancel(self) -> None:
        """Cancel the pending reports."""
        for timer in self.timers:
            timer.cancel()


class HeardSpeech:
    """Reports when each segment begins to be heard and when it has been heard. Used in one event loop."""

    def __init__(self, started: Callable[[], None], finished: Callable[[float, bool], None]) -> None:
        """started: called when a segment begins to be heard.

        finished: called with the seconds of a segment that were heard, and whether it was interrupted; once for each
        segment, in order.
        """
        self._loop = asyncio.get_running_loop()
        self._started, self._finished = started, finished
        self._heard: dict[int, SegmentHeard] = {}
        self._next = 0  # number of the first segment whose end has not been reported

    def add(self, spans: tuple[SpeechSpan, ...], leaves: float) -> None:
        """Add the spans of a tick's sound, whose first sample is heard at the loop time `leaves`."""
        for span in spans:
            begins = leaves + span.offset / SOUND_RATE_HZ
            heard = self._heard.setdefault(span.segment, SegmentHeard())
            heard.leaving.append((begins, span.count))
            if span.first:
                heard.timers.append(self._loop.call_at(begins, self._started))
            if span.last:
                ends = max(start + count / SOUND_RATE_HZ for start, count in heard.leaving)
                heard.timers.append(self._loop.call_at(ends, self._end, span.segment))

    def interrupt(self, after: int) -> None:
        """Report all segments as interrupted now. after: number after that of the last segment so far."""
        at = self._loop.time()
        for number in range(self._next, after):
            heard = self._heard.pop(number, SegmentHeard())
            heard.cancel()
            self._finished(heard.seconds(at), True)
        self._next = after

    def forget(self, after: int) -> None:
        """Discard all segments without reporting them, because the agent has left. after: as for `interrupt`."""
        for heard in self._heard.values():
            heard.cancel()
        self._heard.clear()
        self._next = after

    def _end(self, segment: int) -> None:
        heard = self._heard.pop(segment)
        self._next = segment + 1
        self._finished(sum(count for _, count in heard.leaving) / SOUND_RATE_HZ, False)
