"""A thread that runs a live session, as a call may take longer than a frame and need several driving frames.

The session gets the newest driving frames. Frames that arrive during a call and are not needed are dropped and counted,
so that the delay is that of the engine and never grows. Voice is processed completely and in order, even if it is late.
ROI frames that come in a burst are sent one by one, at the intervals of the driving frames or of the voice's ticks.
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

WAITING_BATCHES = 3  # batches of driving frames that may wait; the oldest are dropped first
HANDED_FRAMES = 60  # ROI frames that may wait to be sent; more where WAITING_BATCHES batches are more
VOICE_BLOCKS = 75  # voice blocks that may wait, one per tick; further ones replace the oldest
VOICE_LEAD_US = 24_000  # a voice-driven face is sent at most this long before its program tick
STOOD_STILL_US = 2 * US  # a loop that paused for this long was suspended, with the process or the machine
SLOWER = 1.1  # a load (`EngineLatency.load`) above this is too slow


@dataclass(frozen=True, slots=True)
class EngineCall:
    """A running call of the session.

    wait: blocks until the call is complete and returns its frames. began: time of its start, microseconds. batches:
    number of batches of driving frames that it needed. epoch, rung: values at its start.
    """

    wait: Callable[[], list[RoiFrame]]
    began: int
    batches: int
    epoch: int
    rung: int


class EngineThread:
    """Runs a session in one thread, or in two if its calls overlap. The loop's thread calls all public methods.

    note: message for the user about the session's options or quality, "" for none. failure: exception that stopped the
    threads, None while they run.
    """

    def __init__(self, opened: OpenedSession, done: Callable[[], None], away: int) -> None:
        """Start the thread for an opened session.

        done: called in a thread when frames are ready, or when the note, a refusal or a failure has changed.

        away: gap between driving frames, in microseconds, after which an engine that takes several frames per call
        starts over with an empty window.
        """
        self._session, self._engine, self._done = opened.session, opened.engine, done
        self._size = size = opened.info.frames_per_step
        self._away = away if size > 1 else None
        self._guard = threading.Condition()  # protects all attributes below
        self._waiting: deque[tuple[Driving, Mapping[str, int]]] = deque(maxlen=WAITING_BATCHES * size)
        self._heard: deque[VoiceBlock] = deque(maxlen=VOICE_BLOCKS)
        self._voice_delay = 0
        self._made: deque[PacedFrame] = deque(maxlen=max(HANDED_FRAMES, WAITING_BATCHES * size))
        self._stamps: dict[int, Mapping[str, int]] = {}
        self._delay = EngineLatency(size, opened.info.frames_held)
        self._pacer = self._new_pacer()
        self._drops: Counter[str] = Counter()
        self._newest = 0
        self._epoch = self._begun = 0  # the driver's epoch, and that of the session
        self._wish: int | None = None  # pts of a requested idle frame
        self._options = self._applied = opened.options  # wanted, and passed to the session
        self._refused = False  # the session cannot apply the wanted options
        self._too_much: str | None = None  # why to lower the quality: out of memory, or "" if the session is too slow
        self._rung = 0  # number of changes of quality so far
        self._batches = 0  # batches of driving frames since the last call that made frames
        self._call: EngineCall | None = None  # the call that the second thread waits for
        self._turned: int | None = None  # time of the last `note_turn`
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
        """Queue a block of voice. delay: microseconds from a face's pts to the tick that shows it."""
        with self._guard:
            self._wish, self._voice_delay = None, delay
            self._drops["voice block skipped"] += len(self._heard) == self._heard.maxlen
            self._heard.append(block)
            self._guard.notify_all()

    def note_turn(self) -> None:
        """Report that the loop is running. After a pause of STOOD_STILL_US, waiting input and frames are dropped."""
        with self._guard:
            self._note_time(at := now())
            self._turned = at

    def restart(self) -> None:
        """Start over for another driver; waiting input and frames are dropped."""
        with self._guard:
            self._restart()
            self._guard.notify_all()

    def idle(self, pts: int) -> None:
        """Request a frame of the idling host for the tick at `pts`; it replaces an earlier request."""
        with self._guard:
            self._wish = pts
            self._guard.notify_all()

    def apply(self, options: EngineOptions) -> None:
        """Continue with these options."""
        with self._guard:
            self._options = options
            self._guard.notify_all()

    def take_refusal(self) -> bool:
        """Whether the session must be opened again to apply the wanted options; True only once per refusal."""
        with self._guard:
            refused, self._refused = self._refused, False
            return refused

    def due(self) -> int | None:
        """Return when the next frame is to be sent (microseconds), None while there is none."""
        with self._guard:
            return self._made[0].due if self._made else None

    def due_frame(self, at: int) -> PacedFrame | None:
        """Take the newest frame due at `at`, None if none is; older due frames are dropped and counted as late."""
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
        """Take the numbers of drops since the last call, by reason."""
        with self._guard:
            drops, self._drops = self._drops, Counter()
            return drops

    def as_dict(self) -> dict[str, object]:
        """Return facts of the engine for the pulse.

        quality: name and title, for an engine with several qualities. delay: see `EngineLatency.as_dict`, for an engine
        that takes several frames per call.
        """
        facts: dict[str, object] = {}
        if name := self._session.quality:
            facts["quality"] = {"name": name, "title": value_title(self._engine.Options, "quality", name)}
        with self._guard:
            if self._size > 1 and (delay := self._delay.as_dict()):
                facts["delay"] = delay
        return facts

    def close(self) -> None:
        """Ask the threads to stop after their current work; does not wait for them."""
        with self._guard:
            self._stopping = True
            self._guard.notify_all()

    def _start(self, work: Callable[[], None], name: str) -> None:
        def run() -> None:
            try:
                work()
            except Exception as error:  # the loop's thread reads it, and may end the process
                self.failure = self.failure or error
                self.close()
                self._done()

        threading.Thread(target=run, name=name, daemon=True).start()

    def _steps(self) -> None:
        """Body of the thread that calls the session."""
        while (task := self._next()) is not None:
            try:
                task()
            except OutOfMemoryError as error:
                self._ran_out(error, self._rung)

    def _next(self) -> Callable[[], object] | None:
        """Wait for the next task and return it; None when the thread is to stop."""
        with self._guard:
            while not self._stopping:
                if (task := self._task()) is not None:
                    return task
                self._guard.wait()
        return None

    def _task(self) -> Callable[[], object] | None:
        """Take the most urgent task, None if there is none. The caller holds the guard."""
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
        """Take the waiting blocks as one, up to the first that does not follow its predecessor."""
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
        """Pass a call to the second thread, once that has completed the previous one."""
        with self._guard:
            self._guard.wait_for(lambda: self._stopping or self._call is None)
            self._call = call
            self._guard.notify_all()

    def _waits(self) -> None:
        """Body of the second thread, which waits for a call's frames while the session begins the next call."""
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
            if rung == self._rung:  # otherwise the quality has changed since, which may have freed memory
                self._too_much = str(error)
                self._guard.notify_all()

    def _lower(self, why: str) -> None:
        """Lower the quality by one rung, with a note. `why`: out-of-memory error to raise if there is no lower one."""
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
    """Return the number of the voice sample at a time in microseconds."""
    return round(pts * SOUND_RATE_HZ / US)
