"""Speech: the utterances that the host is to say, one after the other, given out just ahead of their time.

An utterance is a bounded buffer that something fills (a file being decoded, a voice agent on a socket, a voice that
speaks a text) and this module empties at the pace of the channel clock. Only what is about to be heard has left the
queue, so an interrupt loses nothing else and is heard at once. Lives in the event loop.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.gateway.channel.captions import Captions
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.spoken_lines import SpokenLine, SpokenLines
from shared.errors import StudioError
from shared.runtime.clock import SOUND_RATE_HZ, US, now

LEAD_US = 20_000  # us from here to an utterance's first sample: what the next blocks of live speech may be late
LATE_US = 10_000  # us behind its time at which a block still finds everybody waiting for it
TEXT_LEAD_US = 5_000  # the same of a text, whose voice sends more at once than the next blocks may be late
DRIVER_SWITCH_US = 60_000  # the same, where the driver has just become speech and everybody must hear of it first
START_WAIT_US, SWITCH_WAIT_US = (
    5 * US,
    US,
)  # that capture is waited for at most, from here and from a change of the driver
AHEAD_US = 120_000  # us of voice that are on their way at any time
BLOCK_SAMPLES = SOUND_RATE_HZ // 50
BUFFER_SAMPLES = 30 * SOUND_RATE_HZ  # samples an utterance holds; a sender that fills it waits
STALL_US = 5 * US  # an utterance whose sender is silent for this long is over
MAX_UTTERANCES = 64  # utterances waiting
PUMP_PERIOD_S = 0.01
RECENT = 20  # that are over and still shown
RECENT_LINES = 4  # sentences that the state has


class QueueFullError(StudioError):
    """More waits already than is taken."""


class Utterance:
    """One thing to say.

    state: queued, started, ended or interrupted. seconds: of sound received so far; `complete` when that is all.
    patient: what fills it reports by itself when it has stopped for good. lines: the sentences of a text. Times are
    microseconds on the channel clock.
    """

    def __init__(self, title: str, changed: Callable[[], None], *, patient: bool = False) -> None:
        self.id = secrets.token_hex(8)
        self.patient, self.lines = patient, SpokenLines(self.id)
        self.title, self.state, self.complete, self.note = title, "queued", False, ""
        self.received = 0  # samples
        self.buffered = 0  # samples waiting here
        self.first: int | None = None  # pts of its first sample, once that has left
        self.end = 0  # pts after the last sample that has left
        self.fed = now()  # when something last came
        self._changed = changed
        self._blocks: deque[NDArray[np.int16]] = deque()
        self._left: list[NDArray[np.int16]] = []  # gone ahead but not heard yet
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_over(self) -> bool:
        """Whether it has ended or was interrupted."""
        return self.state in ("ended", "interrupted")

    @property
    def drained(self) -> bool:
        """Whether all of its sound has come and has left."""
        return self.complete and not self._blocks

    async def write(self, samples: NDArray[np.int16]) -> bool:
        """Add (n,) int16 mono at 48 kHz once there is room; False when it is no longer wanted."""
        for at in range(0, len(samples), BLOCK_SAMPLES):
            await self._room.wait()
            if self.is_over:
                return False
            self._blocks.append(samples[at : at + BLOCK_SAMPLES])
            self.lines.add_written(self._blocks[-1], self.received)
            self.fed = now()
            self.received += len(self._blocks[-1])
            self.buffered += len(self._blocks[-1])
            if self.buffered >= BUFFER_SAMPLES:
                self._room.clear()
            self._changed()
        return not self.is_over

    def finish(self) -> None:
        """That was all of it."""
        self.complete = True
        self.lines.finish(self.received)
        self._changed()

    def next_samples(self) -> NDArray[np.int16] | None:
        """The next samples to leave."""
        if not self._blocks:
            return None
        block = self._blocks.popleft()
        self.buffered -= len(block)
        if self.state == "queued":
            self._left.append(block)
        if self.buffered < BUFFER_SAMPLES:
            self._room.set()
        return block

    def become(self, state: str) -> None:
        """Enter a state (see the class); one that is over lets go of its sound."""
        if state == "interrupted":
            self.lines.interrupt(now())
        self.state = state
        self._left.clear()
        if self.is_over:
            self._blocks.clear()
            self.buffered = 0
            self._room.set()
        self._changed()

    def rewind(self) -> None:
        """Take back what has left: it was dropped on its way and never heard."""
        self._blocks.extendleft(reversed(self._left))
        self.buffered += sum(len(block) for block in self._left)
        self._left.clear()
        self.lines.rewind()
        self.first = None

    def as_dict(self) -> dict[str, Any]:
        """The fields that the API shows; seconds to two decimal places."""
        return {
            "id": self.id,
            "title": self.title,
            "state": self.state,
            "seconds": round(self.received / SOUND_RATE_HZ, 2),
            "complete": self.complete,
            "note": self.note,
        }


class SpeechQueue:
    """The queue of utterances.

    `send(pts, samples)` gives voice out, `hush()` empties what is on its way, `delay()` is how much later than its pts
    the program plays a voice (microseconds). `heard()` is whether what is sent now is passed on: a channel that has
    just started, or has another driver, is waited for.
    """

    def __init__(
        self,
        event_log: EventLog,
        send: Callable[[int, NDArray[np.int16]], None],
        hush: Callable[[], None],
        delay: Callable[[], int],
        heard: Callable[[], bool] = lambda: True,
    ) -> None:
        self.queue: list[Utterance] = []  # not over yet, in order
        self.recent: deque[Utterance] = deque(maxlen=RECENT)
        self.late = 0  # times an utterance ran dry in the middle
        self.captions = Captions()
        self._event_log, self._send, self._hush, self._delay, self._heard = event_log, send, hush, delay, heard
        self._work = asyncio.Event()
        self._end = 0  # pts after the last sample given out
        self._not_before = 0
        self._wait_until = now() + START_WAIT_US
        self._listeners: dict[str, Callable[[Utterance], None]] = {}

    def add(
        self, title: str, listener: Callable[[Utterance], None] | None = None, *, patient: bool = False
    ) -> Utterance:
        """A new utterance at the end of the queue.

        `listener` hears of each of its states. Raises StudioError when full.
        """
        if len(self.queue) >= MAX_UTTERANCES:
            raise QueueFullError(
                f"{MAX_UTTERANCES} utterances are waiting already; clear the queue or try again later."
            )
        made = Utterance(title[:80], self._work.set, patient=patient)
        self.queue.append(made)
        if listener:
            self._listeners[made.id] = listener
        self._tell(made)
        return made

    def driver_changed(self) -> None:
        """Speech has just become the driver: the voice waits until everybody knows."""
        self._not_before = now() + DRIVER_SWITCH_US
        self._wait_until = max(self._wait_until, now() + SWITCH_WAIT_US)

    def interrupt(self) -> list[str]:
        """Silence, now: what is being said and all that waits is over. Returns the ids."""
        return self._drop(list(self.queue))

    def clear(self) -> list[str]:
        """The current utterance is spoken to its end, nothing after it. Returns the ids of what was dropped."""
        return self._drop([each for each in self.queue if each.state == "queued"])

    def cancel(self, utterance: str) -> bool:
        """One utterance is over, the others stay; False when it is not in the queue."""
        return bool(self._drop([each for each in self.queue if each.id == utterance]))

    def as_dict(self) -> dict[str, Any]:
        """Utterances that are spoken, wait and are over, for the state."""
        heard = self._lines((*reversed(self.recent), *self.queue))
        return {
            "queue": [each.as_dict() for each in self.queue],
            "recent": [each.as_dict() for each in self.recent],
            "ran_dry": self.late,
            "lines": heard[-RECENT_LINES:],
            "saying": self._saying(now()),
        }

    @staticmethod
    def _lines(utterances: Iterable[Utterance]) -> list[SpokenLine]:
        """The sentences whose beginning has left."""
        return [line for each in utterances for line in each.lines.heard()]

    def _saying(self, at: int) -> str:
        """The sentence that is heard now, "" for sound without text and for silence."""
        found = (line.text for each in self.queue if each.state == "started" and (line := each.lines.line_at(at)))
        return next(found, "")

    async def run(self) -> None:
        """Give out what is due, for as long as the gateway runs."""
        while True:
            self._work.clear()
            self.pump(now())
            busy = self.queue or self.captions.is_pending
            try:
                async with asyncio.timeout(PUMP_PERIOD_S if busy else None):
                    await self._work.wait()
            except TimeoutError:
                pass

    def pump(self, at: int) -> None:
        """Give out what is due and tell what has begun and ended."""
        for utterance in list(self.queue):
            if not utterance.drained and not self._give(utterance, at):
                break
        self.captions.follow(at, self._lines(self.queue))
        heard = at - self._delay()
        for utterance in list(self.queue):
            if utterance.first is not None and utterance.state == "queued" and heard >= utterance.first:
                self._become(utterance, "started")
            if utterance.drained and heard >= utterance.end:
                self._become(utterance, "ended")

    def _give(self, utterance: Utterance, at: int) -> bool:
        """Whether the next utterance may follow."""
        while self._end < at + AHEAD_US:
            if self._end < at - LATE_US:  # nothing is on its way now
                if at < self._wait_until and not self._heard():
                    return False
                due = max(at + (TEXT_LEAD_US if utterance.patient else LEAD_US), self._not_before)
                if due > at + AHEAD_US:
                    return False
            else:
                due = self._end
            block = utterance.next_samples()
            if block is None:
                if not utterance.complete and not utterance.patient and at - max(utterance.fed, self._end) > STALL_US:
                    utterance.note = "Its sender stopped sending."
                    utterance.finish()
                return utterance.complete
            if utterance.first is None:
                utterance.first = due
            elif due != self._end:
                self.late += 1
            utterance.lines.add_sent(len(block), due + self._delay())
            self._send(due, block)
            self._end = utterance.end = due + len(block) * US // SOUND_RATE_HZ
        return utterance.drained

    def _drop(self, dropped: list[Utterance]) -> list[str]:
        sent = any(each.first is not None for each in dropped)
        for utterance in dropped:
            self._become(utterance, "interrupted")
        self.captions.follow(now(), self._lines(dropped))
        if sent:
            self._hush()
            self._end = 0
            for utterance in self.queue:
                if utterance.state == "queued":
                    utterance.rewind()
        return [each.id for each in dropped]

    def _become(self, utterance: Utterance, state: str) -> None:
        utterance.become(state)
        if utterance.is_over:
            self.queue.remove(utterance)
            self.recent.appendleft(utterance)
        self._tell(utterance)
        if state == "started":
            self._event_log.add(f"Speaking {utterance.title}.")
        elif state == "interrupted":
            self._event_log.add(f"{utterance.title} was interrupted.")

    def _tell(self, utterance: Utterance) -> None:
        if listener := self._listeners.get(utterance.id):
            listener(utterance)
        if utterance.is_over:
            self._listeners.pop(utterance.id, None)
