"""The speech queue: utterances for the host to speak, one after the other, sent to capture just ahead of their time.

An utterance is a bounded buffer that a producer fills (a file decoder, a voice agent on a socket, a text-to-speech
voice) and that this module empties at the pace of the channel clock. Sound is sent only shortly before it is heard, so
an interrupt takes effect immediately and discards little that was sent already. All of it runs in the event loop.
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

LEAD_US = 20_000  # us before an utterance's first sample at which it is sent: later blocks may be this late
LATE_US = 10_000  # us by which a block may be late and still continue the sound before it, without a new lead
TEXT_LEAD_US = 5_000  # lead for a text: its voice delivers many blocks at a time, so they are hardly ever late
DRIVER_SWITCH_US = 60_000  # lead after speech has become the driver: all services must receive the scene first
START_WAIT_US, SWITCH_WAIT_US = (
    5 * US,
    US,
)  # longest wait for capture: after the gateway's start, and after a change of the driver
AHEAD_US = 120_000  # us of voice that may be sent ahead of the clock
BLOCK_SAMPLES = SOUND_RATE_HZ // 50
BUFFER_SAMPLES = 30 * SOUND_RATE_HZ  # samples that an utterance holds; a producer that fills it has to wait
STALL_US = 5 * US  # an utterance whose producer sends nothing for this long is over
MAX_UTTERANCES = 64  # utterances in the queue
PUMP_PERIOD_S = 0.01
RECENT = 20  # finished utterances that are kept to be shown
RECENT_LINES = 4  # sentences in the channel's state


class QueueFullError(StudioError):
    """Raised when the queue already holds MAX_UTTERANCES."""


class Utterance:
    """One utterance: a buffer of speech with its state and, for a text, its sentences.

    state: queued, started, ended or interrupted. received: samples so far. complete: no more will come. patient: the
    producer is trusted to call `finish`, so there is no time limit for its next samples. lines: the sentences of a
    text. Times are microseconds on the channel clock.
    """

    def __init__(self, title: str, changed: Callable[[], None], *, patient: bool = False) -> None:
        self.id = secrets.token_hex(8)
        self.patient, self.lines = patient, SpokenLines(self.id)
        self.title, self.state, self.complete, self.note = title, "queued", False, ""
        self.received = 0  # samples
        self.buffered = 0  # samples waiting in `_blocks`
        self.first: int | None = None  # pts of its first sample, once that was sent
        self.end = 0  # pts after the last sample that was sent
        self.fed = now()  # when samples last arrived
        self._changed = changed
        self._blocks: deque[NDArray[np.int16]] = deque()
        self._left: list[NDArray[np.int16]] = []  # blocks that were sent before the utterance started to be heard
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_over(self) -> bool:
        """Whether the utterance has ended or was interrupted."""
        return self.state in ("ended", "interrupted")

    @property
    def drained(self) -> bool:
        """Whether all of its sound has been received and sent."""
        return self.complete and not self._blocks

    async def write(self, samples: NDArray[np.int16]) -> bool:
        """Add samples, (n,) int16 mono at 48 kHz, waiting for room; returns False once the utterance is over."""
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
        """Mark the utterance as complete: no more samples will come."""
        self.complete = True
        self.lines.finish(self.received)
        self._changed()

    def next_samples(self) -> NDArray[np.int16] | None:
        """Remove and return the next block to send, None if there is none."""
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
        """Enter a state (see the class). An utterance that is over frees its sound."""
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
        """Return the sent blocks to the buffer: they were discarded before they were heard."""
        self._blocks.extendleft(reversed(self._left))
        self.buffered += sum(len(block) for block in self._left)
        self._left.clear()
        self.lines.rewind()
        self.first = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields that the API shows; seconds are rounded to two decimal places."""
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

    `send(pts, samples)` sends voice to capture, `hush()` discards what was sent and not heard yet. `delay()` returns
    how much later than its pts the program plays a voice, in microseconds. `heard()` returns whether capture forwards
    what is sent now; just after a start or a change of the driver it may not, and the queue waits.
    """

    def __init__(
        self,
        event_log: EventLog,
        send: Callable[[int, NDArray[np.int16]], None],
        hush: Callable[[], None],
        delay: Callable[[], int],
        heard: Callable[[], bool] = lambda: True,
    ) -> None:
        self.queue: list[Utterance] = []  # utterances that are not over, in order
        self.recent: deque[Utterance] = deque(maxlen=RECENT)
        self.late = 0  # how often an utterance had no sound to send in its middle
        self.captions = Captions()
        self._event_log, self._send, self._hush, self._delay, self._heard = event_log, send, hush, delay, heard
        self._work = asyncio.Event()
        self._end = 0  # pts after the last sample that was sent
        self._not_before = 0
        self._wait_until = now() + START_WAIT_US
        self._listeners: dict[str, Callable[[Utterance], None]] = {}

    def add(
        self, title: str, listener: Callable[[Utterance], None] | None = None, *, patient: bool = False
    ) -> Utterance:
        """Append a new utterance to the queue and return it.

        `listener` is called with it now and after each change of its state. Raises QueueFullError.
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
        """Delay the voice: speech has just become the driver, and the other services must receive that scene first."""
        self._not_before = now() + DRIVER_SWITCH_US
        self._wait_until = max(self._wait_until, now() + SWITCH_WAIT_US)

    def interrupt(self) -> list[str]:
        """Stop speaking immediately and drop all utterances. Returns their ids."""
        return self._drop(list(self.queue))

    def clear(self) -> list[str]:
        """Drop the utterances that wait; the current one is spoken to its end. Returns the ids of those dropped."""
        return self._drop([each for each in self.queue if each.state == "queued"])

    def cancel(self, utterance: str) -> bool:
        """Drop one utterance, by its id; returns False when it is not in the queue."""
        return bool(self._drop([each for each in self.queue if each.id == utterance]))

    def as_dict(self) -> dict[str, Any]:
        """Return the queue, the last finished utterances and the last lines, for the channel's state."""
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
        """Return the sentences whose first sound was sent."""
        return [line for each in utterances for line in each.lines.heard()]

    def _saying(self, at: int) -> str:
        """Return the sentence that is heard at `at`, "" for sound without text and for silence."""
        found = (line.text for each in self.queue if each.state == "started" and (line := each.lines.line_at(at)))
        return next(found, "")

    async def run(self) -> None:
        """Call `pump` whenever something may be due, until cancelled."""
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
        """Send the sound that is due at `at` and update states and captions."""
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
        """Send sound of an utterance up to AHEAD_US ahead; returns whether the next utterance may follow now."""
        while self._end < at + AHEAD_US:
            if self._end < at - LATE_US:  # all that was sent has been played
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
                    utterance.note = "The sender stopped before the end of the speech."
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
