"""Live, for an engine that takes several driving frames at a time and longer than a frame to do it.

It runs in a thread of its own, always on the newest driving frames: what came meanwhile and is not needed is dropped and
counted, so that the delay is that of the engine and never grows. What comes out in a burst is handed on one by one, as
far apart as the driver's frames were.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.generator.engine import Adjustable, Driving, RoiFrame, Session
from shared.clock import US, now
from shared.errors import OutOfMemoryError, StudioError

WAITING = 3  # batches of driving frames that may wait; the oldest go first
HANDED = 3  # batches of ROI frames that may wait to be handed on
STEADY = 8  # batches over which the delay and the speed are judged
SLOWER = 1.1  # than the driver, by this much, is too slow


@dataclass(frozen=True, slots=True)
class Paced:
    """A ROI frame with when it is due; pts of the frame is that of its driving frame. stamps: that frame's."""

    due: int
    frame: RoiFrame
    stamps: Mapping[str, int]


class Pacer:
    """Turns bursts into an even stream: every frame is due a steady delay after its driving frame."""

    def __init__(self) -> None:
        self._delays: deque[int] = deque(maxlen=STEADY)
        self._last = 0

    def pace(self, frames: list[RoiFrame], at: int) -> list[int]:
        """When each of a burst that came out at `at` is due (microseconds), never before one already handed on."""
        if not frames:
            return []
        self._delays.append(at - frames[0].pts)
        delay, due = max(self._delays), []
        for frame in frames:
            self._last = max(self._last, frame.pts + delay, at)
            due.append(self._last)
        return due


def evenly(count: int, wanted: int) -> list[int]:
    """Which of `count` waiting frames to take: `wanted`, the newest among them, evenly apart."""
    return [round((i + 1) * count / wanted) - 1 for i in range(wanted)]


class Batch:
    """A session in a thread. Every method is called by the loop's thread."""

    def __init__(self, session: Session, size: int, done: Callable[[], None], away: int) -> None:
        """size: driving frames that it takes at a time. done: called, in the thread, when something came out. away:
        microseconds between driving frames after which it begins anew."""
        self._session, self._size, self._done, self._away = session, size, done, away
        self._waiting: deque[tuple[Driving, Mapping[str, int]]] = deque(maxlen=WAITING * size)
        self._made: deque[Paced] = deque(maxlen=HANDED * size)
        self._guard = threading.Condition()
        self._stopping = self._anew = False
        self._pacer = Pacer()
        self._stamps: dict[int, Mapping[str, int]] = {}
        self._paces: deque[float] = deque(maxlen=STEADY)  # a batch's time as a part of what the driver leaves it
        self._newest = 0
        self.dropped = 0  # driving frames that were not taken
        self.late = 0  # ROI frames that could not be handed on
        self.note = ""  # what a user should know
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def offer(self, driving: Driving, stamps: Mapping[str, int], *, anew: bool = False) -> None:
        """A driving frame. anew: the driver has restarted."""
        with self._guard:
            if anew or driving.pts - self._newest > self._away:
                self.dropped += len(self._waiting)
                self._waiting.clear()
                self._made.clear()
                self._anew = True
            self._newest = driving.pts
            self.dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append((driving, stamps))
            self._guard.notify()

    def due(self) -> int | None:
        """When the next frame is to be handed on, None while there is none."""
        with self._guard:
            return self._made[0].due if self._made else None

    def take(self, at: int) -> list[Paced]:
        """What is due at `at`: the newest of it; what it overtook is counted as late."""
        with self._guard:
            ready: list[Paced] = []
            while self._made and self._made[0].due <= at:
                ready.append(self._made.popleft())
            self.late += max(0, len(ready) - 1)
            return ready[-1:]

    def close(self, wait: float = 0.0) -> None:
        """Let the thread end after what it is doing. wait: seconds to wait for that."""
        with self._guard:
            self._stopping = True
            self._guard.notify()
        self._thread.join(wait)

    def _run(self) -> None:
        try:
            while (chosen := self._choose()) is not None:
                self._step(chosen)
        except Exception as error:  # the loop's thread is told, and ends the process
            self.failure = error
            self._done()

    def _choose(self) -> list[Driving] | None:
        """Wait for a batch of the newest; None at the end."""
        with self._guard:
            self._guard.wait_for(lambda: self._stopping or len(self._waiting) >= self._size)
            if self._stopping:
                return None
            if self._anew:
                self._anew = False
                self._stamps.clear()
                self._pacer = Pacer()
                self._session.reset()
            taken = [self._waiting[i] for i in evenly(len(self._waiting), self._size)]
            self.dropped += len(self._waiting) - self._size
            self._waiting.clear()
        self._stamps |= {driving.pts: stamps for driving, stamps in taken}
        return [driving for driving, _ in taken]

    def _step(self, chosen: list[Driving]) -> None:
        began = time.monotonic()
        try:
            frames = [frame for driving in chosen for frame in self._session.step(driving)]
        except OutOfMemoryError as error:
            self._lower(str(error))
            return
        span = (chosen[-1].pts - chosen[0].pts) / max(1, self._size - 1) * self._size / US
        self._paces.append((time.monotonic() - began) / max(span, 1e-3))
        with self._guard:
            if not self._anew:
                for due, frame in zip(self._pacer.pace(frames, now()), frames, strict=True):
                    self.late += len(self._made) == self._made.maxlen
                    self._made.append(Paced(due, frame, self._stamps.pop(frame.pts, {})))
        for pts in [pts for pts in self._stamps if frames and pts < frames[0].pts]:
            del self._stamps[pts]
        if frames:
            self._done()
        slow = len(self._paces) == STEADY and sum(self._paces) / STEADY > SLOWER
        if slow and isinstance(self._session, Adjustable) and self._session.adjusts:
            self._lower("")

    def _lower(self, why: str) -> None:
        """One rung down, with a note; where there is none, memory that ran out is the user's to know."""
        self._paces.clear()
        said = self._session.lower() if isinstance(self._session, Adjustable) else None
        if said is None and why:
            raise StudioError(why)
        self.note = said or self.note
        self._stamps.clear()
        self._done()
