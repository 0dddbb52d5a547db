"""Latency from a driver's motion to its face, measured frame by frame, and the pacing of frames that come in bursts."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from engines.api import RoiFrame

STEADY_BATCHES = 8  # batches, or bursts, over which everything is judged
RATE_WINDOW_FRAMES = 50  # driver frames over which their rate is measured


class EngineLatency:
    """Latency of one session. All times are microseconds. Not thread-safe."""

    def __init__(self, frames: int, held: int) -> None:
        """frames: that a call takes. held: driving frames held back before the first ROI frame comes out."""
        self.frames, self.calls = frames, -(-(held + 1) // frames)
        self._offered: deque[int] = deque(maxlen=RATE_WINDOW_FRAMES)
        self._shown: deque[int] = deque(maxlen=STEADY_BATCHES * frames)
        self._took: deque[int] = deque(maxlen=STEADY_BATCHES)
        self._batches: deque[int] = deque(
            maxlen=STEADY_BATCHES
        )  # driver frames per call: several where the session skips frames itself
        self._done = 0  # when the last call was

    def begin(self) -> None:
        """The window is empty: the first call that makes frames is to fill it."""
        self._done = 0

    def forget(self) -> None:
        """Forget the times of earlier calls: the engine is now at another quality."""
        self._took.clear()
        self._batches.clear()
        self._shown.clear()
        self.begin()

    def note_offer(self, pts: int) -> None:
        """A driver frame came, taken or not."""
        self._offered.append(pts)

    def note_call(self, began: int, done: int, batches: int) -> None:
        """A call made frames.

        A call that began before the one before it was done counts from there: what is measured is how long a call keeps
        the device, however many are under way.
        """
        if self._done:  # the first one filled the window
            self._took.append(done - max(began, self._done))
            self._batches.append(batches)
        self._done = done

    def note_shown(self, delay: int) -> None:
        """A face was handed on, so long after its motion."""
        self._shown.append(delay)

    @property
    def load(self) -> float:
        """Duration of a call as a fraction of the time that the driver leaves for it, 0 until that is known."""
        if len(self._took) < STEADY_BATCHES or not (left := self.frames * self._interval()):
            return 0.0
        return float(np.mean(self._took)) / left

    def as_dict(self) -> dict[str, float] | None:
        """The figures, in milliseconds.

        interval_ms: between the driver frames that are taken where none is skipped; call_ms: a call; ms: from a frame's
        motion to the moment its face is handed on, median; floor_ms: what that cannot be below at this driver's rate,
        the fill of a call and the calls that a frame lies in the window for. None until all are known.
        """
        if not self._took or not self._shown or not (interval := self._interval() / 1000):
            return None
        call = float(np.median(self._took)) / 1000
        floor = (self.frames - 1) * interval + (self.calls - 1) * max(self.frames * interval, call) + call
        figures = {
            "interval_ms": interval,
            "call_ms": call,
            "floor_ms": floor,
            "ms": float(np.median(self._shown)) / 1000,
        }
        return {"frames": self.frames, "calls": self.calls} | {name: round(value, 1) for name, value in figures.items()}

    def _interval(self) -> float:
        if len(self._offered) < 2 or not self._batches:
            return 0.0
        return float(np.median(np.diff(self._offered)) * np.median(self._batches))


@dataclass(frozen=True, slots=True)
class PacedFrame:
    """A ROI frame to be handed on.

    due: when. frame: its pts is that of its driving frame, of its voice, or of the tick it idles at. shown: the tick
    that is to show it, or the time from which it may be shown. stamps: of its driving frame. driven: by what; "" for a
    host that idles by itself.
    """

    due: int
    frame: RoiFrame
    shown: int
    stamps: Mapping[str, int] = field(default_factory=dict)
    driven: Literal["motion", "voice", ""] = "motion"


class Pacer:
    """Every frame is due a steady delay after its driving frame."""

    def __init__(self) -> None:
        self._delays: deque[int] = deque(maxlen=STEADY_BATCHES)
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


class ImmediatePacer(Pacer):
    """Where frames come one at a time there is nothing to even out, and no delay is added."""

    def pace(self, frames: list[RoiFrame], at: int) -> list[int]:
        return [at] * len(frames)


def evenly(count: int, wanted: int) -> list[int]:
    """Which of `count` waiting frames to take: `wanted`, the newest among them, evenly apart."""
    return [round((i + 1) * count / wanted) - 1 for i in range(wanted)]
