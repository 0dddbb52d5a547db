"""An engine's way through a driver, from any segment edge on: the same frames whether it came along or was restored."""

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
    """A session and what the render adds to it.

    Idling without a face, and a frame for every tick, whatever the engine leaves out. idle_after: microseconds without
    a face until the host idles.
    """

    session: EngineSession
    idle_after: int
    _last_face: int = NEVER
    _owed: deque[int] = field(default_factory=deque)  # pts of the ticks whose frames are still held back
    _wait: Callable[[], list[RoiFrame]] | None = None  # for the last call's frames, where calls overlap

    def motion(self, ticks: Iterable[Driving]) -> Iterator[RoiFrame | int]:
        """Each tick's face, or its pts where the engine has none to show."""
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
        yield from self._frames_with_waiting_ticks(self._arrived())  # a segment ends with nothing under way

    def _step(self, tick: Driving) -> list[RoiFrame]:
        """Where calls overlap, the frames of the last one.

        While they are composed and encoded the next one is computed.
        """
        if not self.session.overlaps:
            return self.session.step(tick)
        if (begun := self.session.begin(tick)) is None:
            return []
        frames, self._wait = self._arrived(), begun
        return frames

    def _arrived(self) -> list[RoiFrame]:
        """The frames that are waited for."""
        wait, self._wait = self._wait, None
        return wait() if wait is not None else []

    def flush(self) -> Iterator[RoiFrame | int]:
        """What is still held back, at the end of a driver."""
        last: RoiFrame | None = None
        for last in self._frames_with_waiting_ticks(self.session.flush()):
            yield last
        while self._owed:
            pts = self._owed.popleft()
            yield pts if last is None else RoiFrame(pts, last.pixels, plate=last.plate)

    def _frames_with_waiting_ticks(self, frames: Iterable[RoiFrame]) -> Iterator[RoiFrame]:
        """The frames, and before each the ticks that got none: they show it too."""
        for frame in frames:
            while self._owed and self._owed[0] < frame.pts:
                yield RoiFrame(self._owed.popleft(), frame.pixels, plate=frame.plate)
            if self._owed and self._owed[0] == frame.pts:
                self._owed.popleft()
            yield frame

    def note(self, tick: Driving) -> None:
        """A tick passes, with or without a face of this engine."""
        if tick.face is not None:
            self._last_face = tick.pts

    def voice(self, samples: NDArray[np.int16], first: int) -> Iterator[RoiFrame]:
        """The faces that a stretch of voice completes; `first` is the number of its first sample."""
        for at in range(0, len(samples), SOUND_RATE_HZ):
            pts = (first + at) * US // SOUND_RATE_HZ
            yield from self.session.hear(VoiceBlock(pts, samples[at : at + SOUND_RATE_HZ]))

    def save(self) -> dict[str, NDArray[np.generic]]:
        """State that the next segment needs."""
        own = {"last_face": np.array(self._last_face, np.int64), "owed": np.array(self._owed, np.int64)}
        return pack_part("engine", self.session.save()) | own

    def restore(self, state: StateMapping) -> None:
        """Continue where `save` left off."""
        self.session.restore(unpack_part("engine", state))
        self._last_face = int(state["last_face"])
        self._owed = deque(int(pts) for pts in state["owed"])
