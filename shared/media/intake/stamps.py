"""Presentation times of a film's frames, corrected where the file's time stamps are missing or wrong."""

from fractions import Fraction

import av

from shared.runtime.clock import US

MOST_FPS = 1_000  # a higher stated rate is that of the file's clock, not of its frames


def stamp_of(frame: av.VideoFrame | av.AudioFrame) -> int | None:
    """Return a frame's pts in microseconds on the file's own clock; None if it has none."""
    if frame.pts is None or frame.time_base is None:
        return None
    return int(frame.pts * frame.time_base * US)


def stated_rate(stream: av.VideoStream) -> Fraction:
    """Return the frames per second that a file states, 25 if it states no plausible rate."""
    stated = (rate for rate in (stream.average_rate, stream.guessed_rate) if rate and 0 < rate <= MOST_FPS)
    return Fraction(next(stated, 25))


class RisingStamps:
    """Generates strictly rising presentation times for frames.

    A frame without a time stamp, as in a raw stream, or with one that does not rise, follows the last frame after one
    usual frame interval.

    fps: usual frames per second. last: time of the frame before in microseconds, -1 for none.
    """

    def __init__(self, fps: Fraction, last: int = -1) -> None:
        self._fps, self._last = fps, last
        self._known, self._run = max(last, 0), 0

    @property
    def begun(self) -> bool:
        """Whether there has been a frame."""
        return self._last >= 0

    def next(self, stamp: int | None) -> int:
        """Return the next frame's time in microseconds, 0 or later. stamp: its pts in the file, None for none."""
        now = -1 if stamp is None else stamp
        if self._last < 0 or now > self._last:
            self._last = self._known = max(now, 0)
            self._run = 0
        else:
            self._run += 1
            self._last = max(self._last + 1, self._known + int(self._run * US / self._fps))
        return self._last
