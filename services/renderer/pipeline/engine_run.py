"""A render's engine session. It can start at any segment: a restored one gives the same frames as a continued one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engines.api import Driving, EngineSession, RoiFrame, VoiceBlock
from shared.runtime.arrays import StateMapping, pack_part, unpack_part
from shared.runtime.clock import SOUND_RATE_HZ, US

NEVER = -1


@dataclass(slots=True)
class EngineRun:
    """A session as a render uses it: idling when there is no face, and a frame for each tick that the engine skips.

    idle_after: microseconds without a face after which the host idles.
    """

    session: EngineSession
    idle_after: int
    _last_face: int = NEVER
    _owed: deque[int] = field(default_factory=deque)  # pts of the ticks whose frames have not come out yet
    _wait: Callable[[], list[RoiFrame]] | None = None  # returns the running call's frames, if calls overlap

    def motion(self, ticks: Iterable[Driving]) -> Iterator[RoiFrame | int]:
        """Yield the face of each tick, or the tick's pts if the engine has no face for it."""
        return self.session.together(self._motion(ticks))

    def _motion(self, ticks: Iterable[Driving]) -> Iterator[RoiFrame | int]:
        for tick in ticks:
            self.note(tick)
            waits = self._last_face == NEVER or tick.pts - self._last_face > self.idle_after
            if tick.face is None and tick.recorded is None and waits:
                yield from self._frames_with_waiting_ticks(self._arrived())
                idle = self.session.idle(tick.pts)
                yield from idle
                if not idle:
                    yield from self.flush()
                    yield tick.pts
            else:
                self._owed.append(tick.pts)
                yield from self._frames_with_waiting_ticks(self._step(tick))
        yield from self._frames_with_waiting_ticks(self._arrived())  # at a segment's end no call is running

    def _step(self, tick: Driving) -> list[RoiFrame]:
        """Return the tick's frames; if calls overlap, begin its call and return the frames of the previous one.

        The new call then runs while those frames are composed and encoded.
        """
        if not self.session.overlaps:
            return self.session.step(tick)
        if (begun := self.session.begin(tick)) is None:
            return []
        frames, self._wait = self._arrived(), begun
        return frames

    def _arrived(self) -> list[RoiFrame]:
        """Wait for the running call and return its frames, [] if none is running."""
        wait, self._wait = self._wait, None
        return wait() if wait is not None else []

    def flush(self) -> Iterator[RoiFrame | int]:
        """Yield the frames that are still held back at the end of a driver."""
        last: RoiFrame | None = None
        for last in self._frames_with_waiting_ticks(self.session.flush()):
            yield last
        while self._owed:
            pts = self._owed.popleft()
            yield pts if last is None else RoiFrame(pts, last.pixels, plate=last.plate)

    def _frames_with_waiting_ticks(self, frames: Iterable[RoiFrame]) -> Iterator[RoiFrame]:
        """Yield the frames, each preceded by copies of it for earlier ticks that got no frame."""
        for frame in frames:
            while self._owed and self._owed[0] < frame.pts:
                yield RoiFrame(self._owed.popleft(), frame.pixels, plate=frame.plate)
            if self._owed and self._owed[0] == frame.pts:
                self._owed.popleft()
            yield frame

    def note(self, tick: Driving) -> None:
        """Note whether a tick has a face."""
        if tick.face is not None:
            self._last_face = tick.pts

    def voice(self, samples: NDArray[np.int16], first: int) -> Iterator[RoiFrame]:
        """Yield the faces that the engine completes with these samples; `first` is the number of the first one."""
        for at in range(0, len(samples), SOUND_RATE_HZ):
            pts = (first + at) * US // SOUND_RATE_HZ
            yield from self.session.hear(VoiceBlock(pts, samples[at : at + SOUND_RATE_HZ]))

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return the state that the next segment needs."""
        own = {"last_face": np.array(self._last_face, np.int64), "owed": np.array(self._owed, np.int64)}
        return pack_part("engine", self.session.save()) | own

    def restore(self, state: StateMapping) -> None:
        """Continue from a state that `save` returned."""
        self.session.restore(unpack_part("engine", state))
        self._last_face = int(state["last_face"])
        self._owed = deque(int(pts) for pts in state["owed"])
