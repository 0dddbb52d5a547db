"""An engine's way through a driver, from any segment edge on: the same frames whether it came along or was restored."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.generator.engine import DrawsTogether, Driving, RoiFrame, Session, VoiceBlock
from shared.clock import US
from shared.media import SOUND_RATE
from shared.state import State, packed, unpacked

NEVER = -1


@dataclass(slots=True)
class Run:
    """A session and what the render adds to it. idle_after: microseconds without a face until the host idles."""

    session: Session
    idle_after: int
    _last_face: int = NEVER

    def motion(self, ticks: Iterable[Driving]) -> Iterator[RoiFrame | int]:
        """For each tick its face, or its pts where the engine has none to show."""
        frames = self._motion(ticks)
        return self.session.together(frames) if isinstance(self.session, DrawsTogether) else frames

    def _motion(self, ticks: Iterable[Driving]) -> Iterator[RoiFrame | int]:
        for tick in ticks:
            self.note(tick)
            waits = self._last_face == NEVER or tick.pts - self._last_face > self.idle_after
            if tick.face is None and tick.recorded is None and waits:
                idle = self.session.idle(tick.pts)
                yield from idle
                if not idle:
                    yield from self.session.flush()
                    yield tick.pts
            else:
                yield from self.session.step(tick)

    def note(self, tick: Driving) -> None:
        """A tick passes, whoever makes its face."""
        if tick.face is not None:
            self._last_face = tick.pts

    def voice(self, samples: NDArray[np.int16], first: int) -> Iterator[RoiFrame]:
        """The faces that a stretch of voice completes; `first` is the number of its first sample."""
        for at in range(0, len(samples), SOUND_RATE):
            pts = (first + at) * US // SOUND_RATE
            yield from self.session.hear(VoiceBlock(pts, samples[at : at + SOUND_RATE]))

    def save(self) -> dict[str, NDArray[np.generic]]:
        """All that the next segment needs."""
        return packed("engine", self.session.save()) | {"last_face": np.array(self._last_face, np.int64)}

    def restore(self, state: State) -> None:
        """Go on where `save` left off."""
        self.session.restore(unpacked("engine", state))
        self._last_face = int(state["last_face"])
