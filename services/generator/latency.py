"""Measured latency from a driver's motion to its face, and the pacing of frames that come in bursts."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from engines.api import RoiFrame

STEADY_BATCHES = 8  # batches or bursts over which latency and delay are measured
RATE_WINDOW_FRAMES = 50  # driver frames over which their rate is measured


class EngineLatency:
    """Latency of one session. All times are in microseconds. Not thread-safe."""

    def __init__(self, frames: int, held: int) -> None:
        """frames: driving frames per call. held: driving frames held back before the first ROI frame comes out."""
        self.frames, self.calls = frames, -(-(held + 1) // frames)
        self._offered: deque[int] = deque(maxlen=RATE_WINDOW_FRAMES)
        self._shown: deque[int] = deque(maxlen=STEADY_BATCHES * frames)
        self._took: deque[int] = deque(maxlen=STEADY_BATCHES)
        self._batches: deque[int] = deque(
            maxlen=STEADY_BATCHES
        )  # batches of driving frames per call: several where the session itself skips frames
        self._done = 0  # when the last call was complete

    def begin(self) -> None:
        """Start over with an empty window: the next call that makes frames fills it and is not measured."""
        self._done = 0

    def forget(self) -> None:
        """Discard the measured times, because the engine now has another quality."""
        self._took.clear()
        self._batches.clear()
        self._shown.clear()
        self.begin()

    def note_offer(self, pts: int) -> None:
        """Note the pts of a driving frame, whether or not the session takes it."""
        self._offered.append(pts)

    def note_call(self, began: int, done: int, batches: int) -> None:
        """Note a call that made frames. began, done: its times. batches: number of driving batches that it needed.

        A call that began before the previous one was complete is counted from that moment: the time for which a call
        occupies the device is measured, even if several calls overlap.
        """
        if self._done:  # the first call only fills the window
            self._took.append(done - max(began, self._done))
            self._batches.append(batches)
        self._done = done

    def note_shown(self, delay: int) -> None:
        """Note the delay from a driving frame's pts to the sending of its face."""
        self._shown.append(delay)

    @property
    def load(self) -> float:
        """Duration of a call as a fraction of the time between calls at the driver's rate; 0 until that is known."""
        if len(self._took) < STEADY_BATCHES or not (left := self.frames * self._interval()):
            return 0.0
        return float(np.mean(self._took)) / left

    def as_dict(self) -> dict[str, float] | None:
        """Return the figures in milliseconds, None until all are known.

        interval_ms: between the driving frames that a session takes if none is dropped. call_ms: duration of a call.
        ms: median from a frame's motion to the sending of its face. floor_ms: lower limit of `ms` at this driver's
        rate: the time to collect the frames of a call, and the calls for which a frame stays in the window. frames:
        driving frames per call; calls: calls until a frame's face comes out.
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
    """A ROI frame that waits to be sent. Times are in microseconds.

    due: when to send it. frame: its pts is that of its driving frame, of its voice, or of the tick that it idles at.
    shown: pts of the tick that shows it, or the earliest time at which it may be shown. stamps: time stamps of its
    driving frame. driven: kind of driver; "" for an idling host.
    """

    due: int
    frame: RoiFrame
    shown: int
    stamps: Mapping[str, int] = field(default_factory=dict)
    driven: Literal["motion", "voice", ""] = "motion"


class Pacer:
    """Schedules frames a steady delay after their driving frames: the longest one of the last STEADY_BATCHES bursts."""

    def __init__(self) -> None:
        self._delays: deque[int] = deque(maxlen=STEADY_BATCHES)
        self._last = 0

    def pace(self, frames: list[RoiFrame], at: int) -> list[int]:
        """Return when each frame of a burst that was ready at `at` is due (microseconds), in increasing order."""
        if not frames:
            return []
        self._delays.append(at - frames[0].pts)
        delay, due = max(self._delays), []
        for frame in frames:
            self._last = max(self._last, frame.pts + delay, at)
            due.append(self._last)
        return due


class ImmediatePacer(Pacer):
    """Pacer without delay, for engines that return one frame per call."""

    def pace(self, frames: list[RoiFrame], at: int) -> list[int]:
        return [at] * len(frames)


def evenly(count: int, wanted: int) -> list[int]:
    """Return the indices of `wanted` of `count` waiting frames, evenly spaced and including the newest."""
    return [round((i + 1) * count / wanted) - 1 for i in range(wanted)]
