"""From bursts to an even stream: when each frame of an engine that makes several at a time is handed on."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from engines.api import RoiFrame

STEADY = 8  # bursts over which the delay is judged


@dataclass(frozen=True, slots=True)
class Paced:
    """A ROI frame with when it is due; pts of the frame is that of its driving frame, or of the tick it idles at. stamps:
    of that driving frame. live: somebody drives."""

    due: int
    frame: RoiFrame
    stamps: Mapping[str, int]
    live: bool = True


class Pacer:
    """Every frame is due a steady delay after its driving frame."""

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


class AtOnce(Pacer):
    """Where frames come one at a time there is nothing to even out, and no delay is added."""

    def pace(self, frames: list[RoiFrame], at: int) -> list[int]:
        return [at] * len(frames)


def evenly(count: int, wanted: int) -> list[int]:
    """Which of `count` waiting frames to take: `wanted`, the newest among them, evenly apart."""
    return [round((i + 1) * count / wanted) - 1 for i in range(wanted)]
