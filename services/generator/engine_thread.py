"""A session live, in a thread of its own: an engine may take longer than a frame, and several driving frames at a time.

It works on the newest driving frames: frames that arrived meanwhile and are not needed are dropped and counted, so that
the delay is that of the engine and never grows. Voice is heard whole and in order, however late. What comes out in a
burst is handed on one by one, as far apart as the driver's frames, or the ticks of the voice, were.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from engines.api import Driving, RoiFrame, VoiceBlock
from engines.options import EngineOptions, value_title
from services.generator.latency import EngineLatency, ImmediatePacer, PacedFrame, Pacer, evenly
from services.generator.session_opener import OpenedSession
from shared.errors import OutOfMemoryError, StudioError
from shared.runtime.clock import SOUND_RATE_HZ, US, now

WAITING_BATCHES = 3  # batches of driving frames that may wait; the oldest go first
HANDED_FRAMES = 60  # ROI frames that may wait to be handed on, at least; and three batches of them
VOICE_BLOCKS = 75  # blocks of voice that may wait, one a tick; beyond that the engine continues at the present
VOICE_LEAD_US = 24_000  # us before a program tick at which its face is handed on at the earliest
STOOD_STILL_US = 2 * US  # without a turn of the loop the process was stopped, or the machine asleep
SLOWER = 1.1  # slower than the driver by this much is too slow


@dataclass(frozen=True, slots=True)
class EngineCall:
    """A call under way.

    wait: for its frames. began: when; batches: of driving frames that it needed; epoch, rung: that it began in and at.
    """

    wait: Callable[[], list[RoiFrame]]
    began: int
    batches: int
    epoch: int
    rung: int


class EngineThread:
    """A session in a thread, or in two where its calls overlap. Every public method is called by the loop's thread.

    note: what a user should know, of its options. failure: what ended it.
    """

    def __init__(self, opened: OpenedSession, done: Callable[[], None], away: int) -> None:
        """done: called, in a thread, when something came out or happened.

        away: microseconds between driving frames after after which a window of several starts over.
        """
        self._session, self._engine, self._done = opened.session, opened.engine, done
        self._size = size = opened.info.frames_per_step
        self._away = away if size > 1 else None
        self._guard = threading.Condition()  # of all that follows
        self._waiting: deque[tuple[Driving, Mapping[str, int]]] = deque(maxlen=WAITING_BATCHES * size)
        self._heard: deque[VoiceBlock] = deque(maxlen=VOICE_BLOCKS)
        self._voice_delay = 0
        self._made: deque[PacedFrame] = deque(maxlen=max(HANDED_FRAMES, WAITING_BATCHES * size))
        self._stamps: dict[int, Mapping[str, int]] = {}
        self._delay = EngineLatency(size, opened.info.frames_held)
        self._pacer = self._new_pacer()
        self._drops: Counter[str] = Counter()
        self._newest = 0
        self._epoch = self._begun = 0  # the driver's, and the one that the session is in
        self._wish: int | None = None  # pts of an idle frame
        self._options = self._applied = opened.options  # wanted, and handed to the session
        self._refused = False  # the session cannot take over what is wanted
        self._too_much: str | None = None  # why it is to go one rung down: memory ran out, or "" where it is too slow
        self._rung = 0  # how often the session went to another one
        self._batches = 0  # since the last call that made frames
        self._call: EngineCall | None = None  # the one whose frames are waited for
        self._turned: int | None = None  # when the loop last turned, as far as it says so
        self._stopping = False
        self.note = opened.note
        self.failure: Exception | None = None
        session = opened.session
        self._hand_over = self._launch if session.overlaps else self._complete
        self._start(self._steps, "engine")
        if session.overlaps:
            self._start(self._waits, "frames")

    def offer(self, driving: Driving, stamps: Mapping[str, int], *, restarted: bool = False) -> None:
        """Offer a driving frame. restarted: whether the driver has restarted since the last one."""
        with self._guard:
            if restarted or (self._away is not None and driving.pts - self._newest > self._away):
                self._restart()
            self._newest, self._wish = driving.pts, None
            self._delay.note_offer(driving.pts)
            self._drops["driver frame skipped"] += len(self._waiting) == self._waiting.maxlen
            self._waiting.append((driving, stamps))
            self._guard.notify_all()

    def hear(self, block: VoiceBlock, delay: int) -> None:
        """A stretch of voice. delay: microseconds from a frame's own pts to the tick that shows it."""
        with self._guard:
            self._wish, self._voice_delay = None, delay
            self._drops["voice block skipped"] += len(self._heard) == self._heard.maxlen
            self._heard.append(block)
            self._guard.notify_all()

    def note_turn(self) -> None:
        """The loop turns. After it stood still all that is under way is void: it shows what was long ago."""
        with self._guard:
            self._note_time(at := now())
            self._turned = at

    def restart(self) -> None:
        """Take another driver: what waits is dropped."""
        with self._guard:
            self._restart()
            self._guard.notify_all()

    def idle(self, pts: int) -> None:
        """No driver: a frame of the host waiting, at this tick; only the latest wish counts."""
        with self._guard:
            self._wish = pts
            self._guard.notify_all()

    def apply(self, options: EngineOptions) -> None:
        """Continue with these options."""
        with self._guard:
            self._options = options
            self._guard.notify_all()

    def take_refusal(self) -> bool:
        """Whether the session must be opened again for the wanted options; reported once."""
        with self._guard:
            refused, self._refused = self._refused, False
            return refused

    def due(self) -> int | None:
        """When the next frame is to be handed on, None while there is none."""
        with self._guard:
            return self._made[0].due if self._made else None

    def due_frame(self, at: int) -> PacedFrame | None:
        """What is due at `at`: the newest of it; what it overtook is counted as late."""
        with self._guard:
            ready: list[PacedFrame] = []
            while self._made and self._made[0].due <= at:
                ready.append(self._made.popleft())
            if not ready:
                return None
            self._drops["face late"] += len(ready) - 1
            if ready[-1].driven == "motion":
                self._delay.note_shown(at - ready[-1].frame.pts)
            return ready[-1]

    def counted(self) -> Counter[str]:
        """Drops by reason since the last call."""
        with self._guard:
            drops, self._drops = self._drops, Counter()
            return drops

    def as_dict(self) -> dict[str, object]:
        """Facts of the engine for the pulse.

        quality: name and title, of one with a ladder; delay: of one that takes several frames at a time.
        """
        facts: dict[str, object] = {}
        if name := self._session.quality:
            facts["quality"] = {"name": name, "title": value_title(self._engine.Options, "quality", name)}
        with self._guard:
            if self._size > 1 and (delay := self._delay.as_dict()):
                facts["delay"] = delay
        return facts

    def close(self) -> None:
        """The threads end after their current work, which is not waited for."""
        with self._guard:
            self._stopping = True
            self._guard.notify_all()

    def _start(self, work: Callable[[], None], name: str) -> None:
        def run() -> None:
            try:
                work()
            except Exception as error:  # the loop's thread gets it, and ends the process
                self.failure = self.failure or error
                self.close()
                self._done()

        threading.Thread(target=run, name=name, daemon=True).start()

    def _steps(self) -> None:
        """The thread that the session is called in."""
        while (task := self._next()) is not None:
            try:
                task()
            except OutOfMemoryError as error:
                self._ran_out(error, self._rung)

    def _next(self) -> Callable[[], object] | None:
        """Wait for something to do; None at the end."""
        with self._guard:
            while not self._stopping:
                if (task := self._task()) is not None:
                    return task
                self._guard.wait()
        return None

    def _task(self) -> Callable[[], object] | None:
        """Take the most urgent request off the queue."""
        if self._too_much is not None:
            why, self._too_much = self._too_much, None
            self._rung += 1
            return partial(self._lower, why)
        if self._options != self._applied and self._options is not None:
            self._applied = self._options
            self._rung += 1
            return partial(self._apply, self._options)
        if self._begun != self._epoch:
            self._begun, self._batches = self._epoch, 0
            return self._session.reset
        if len(self._waiting) >= self._size:
            return partial(self._step, self._newest_frames(), self._epoch)
        if self._heard:
            return partial(self._hear, self._next_voice(), self._voice_delay, self._epoch)
        if self._wish is not None:
            pts, self._wish = self._wish, None
            return partial(self._idle, pts, self._epoch)
        return None

    def _restart(self) -> None:
        self._drops["driver frame skipped"] += len(self._waiting)
        self._drops["face late"] += len(self._made)
        self._waiting.clear()
        self._heard.clear()
        self._made.clear()
        self._stamps.clear()
        self._pacer = self._new_pacer()
        self._delay.begin()
        self._epoch += 1

    def _note_time(self, at: int) -> None:
        if self._turned is not None and at - self._turned > STOOD_STILL_US:
            self._turned = at
            self._restart()

    def _next_voice(self) -> VoiceBlock:
        """Return the waiting blocks as one, up to the first that does not follow its predecessor."""
        first = self._heard.popleft()
        parts, end = [first.samples], _sample(first.pts) + len(first.samples)
        while self._heard and _sample(self._heard[0].pts) == end:
            parts.append(self._heard.popleft().samples)
            end += len(parts[-1])
        return VoiceBlock(first.pts, np.concatenate(parts))

    def _newest_frames(self) -> list[Driving]:
        taken = [self._waiting[i] for i in evenly(len(self._waiting), self._size)]
        self._drops["driver frame skipped"] += len(self._waiting) - self._size
        self._waiting.clear()
        self._stamps |= {driving.pts: stamps for driving, stamps in taken}
        return [driving for driving, _ in taken]

    def _step(self, chosen: list[Driving], epoch: int) -> None:
        began = now()
        self._batches += 1
        for driving in chosen:
            if (wait := self._session.begin(driving)) is not None:
                self._hand_over(EngineCall(wait, began, self._batches, epoch, self._rung))
                self._batches = 0

    def _launch(self, call: EngineCall) -> None:
        """Leave a call to the other thread, when that is done with the one before it."""
        with self._guard:
            self._guard.wait_for(lambda: self._stopping or self._call is None)
            self._call = call
            self._guard.notify_all()

    def _waits(self) -> None:
        """The thread that waits for the frames of a call while the session is at the next one."""
        while True:
            with self._guard:
                self._guard.wait_for(lambda: self._stopping or self._call is not None)
                call = self._call
                if self._stopping or call is None:
                    return
            try:
                self._complete(call)
            except OutOfMemoryError as error:
                self._ran_out(error, call.rung)
            with self._guard:
                self._call = None
                self._guard.notify_all()

    def _complete(self, call: EngineCall) -> None:
        frames = call.wait()
        at = now()
        with self._guard:
            self._note_time(at)
            if call.epoch != self._epoch:
                self._drops["face late"] += len(frames)
                return
            for due, frame in zip(self._pacer.pace(frames, at), frames, strict=True):
                self._make(PacedFrame(due, frame, max(due, frame.pts), self._stamps.pop(frame.pts, {})))
            self._stamps = {pts: stamps for pts, stamps in self._stamps.items() if not frames or pts > frames[-1].pts}
            self._delay.note_call(call.began, at, call.batches)
            slow = self._delay.load > SLOWER and call.rung == self._rung
            if slow and self._session.adjusts:
                self._too_much = ""
                self._guard.notify_all()
        self._done()

    def _idle(self, pts: int, epoch: int) -> None:
        frames = self._session.idle(pts)
        with self._guard:
            if epoch == self._epoch:
                for frame in frames:
                    self._make(PacedFrame(now(), frame, frame.pts, driven=""))
        if frames:
            self._done()

    def _hear(self, block: VoiceBlock, delay: int, epoch: int) -> None:
        frames = self._session.hear(block)
        with self._guard:
            self._note_time(now())
            if epoch != self._epoch:
                self._drops["face late"] += len(frames)
                return
            for frame in frames:
                shown = frame.pts + delay
                self._make(PacedFrame(shown - VOICE_LEAD_US, frame, shown, driven="voice"))
        if frames:
            self._done()

    def _make(self, paced: PacedFrame) -> None:
        self._drops["face late"] += len(self._made) == self._made.maxlen
        self._made.append(paced)

    def _ran_out(self, error: OutOfMemoryError, rung: int) -> None:
        with self._guard:
            if rung == self._rung:  # otherwise memory has become free by now
                self._too_much = str(error)
                self._guard.notify_all()

    def _lower(self, why: str) -> None:
        """One rung down, with a note; where there is none, memory that ran out is the user's to know."""
        said = self._session.lower()
        if said is None and why:
            raise StudioError(why)
        self._changed(said or self.note)

    def _apply(self, options: EngineOptions) -> None:
        try:
            applied = self._session.apply(options)
        except OutOfMemoryError:
            raise
        except StudioError as error:
            self._changed(str(error))
            return
        if applied:
            self._changed("")
        else:
            with self._guard:
                self._refused = True
            self._done()

    def _changed(self, note: str) -> None:
        with self._guard:
            self._delay.forget()
            self.note = note
        self._done()

    def _new_pacer(self) -> Pacer:
        return Pacer() if self._size > 1 else ImmediatePacer()


def _sample(pts: int) -> int:
    """The number of the voice's sample at this time."""
    return round(pts * SOUND_RATE_HZ / US)
