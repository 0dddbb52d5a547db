"""When each frame of a film is shown, whatever its file says of it."""

from fractions import Fraction

import av

from shared.runtime.clock import US

MOST_FPS = 1_000  # what a file states beyond it is the rate of its clock


def stamp_of(frame: av.VideoFrame | av.AudioFrame) -> int | None:
    """Microseconds on the file's own clock; None for a frame without a time stamp."""
    if frame.pts is None or frame.time_base is None:
        return None
    return int(frame.pts * frame.time_base * US)


def stated_rate(stream: av.VideoStream) -> Fraction:
    """Frames a second that a file states; 25 where it states none that can be."""
    stated = (rate for rate in (stream.average_rate, stream.guessed_rate) if rate and 0 < rate <= MOST_FPS)
    return Fraction(next(stated, 25))


class RisingStamps:
    """Times that rise, one for each frame.

    A frame without a time stamp, as in a raw stream, or one that goes back, follows the last at the usual distance.

    fps: frames a second that are usual. last: the time before, microseconds; -1 for none.
    """

    def __init__(self, fps: Fraction, last: int = -1) -> None:
        self._fps, self._last = fps, last
        self._known, self._run = max(last, 0), 0

    @property
    def begun(self) -> bool:
        """Whether there was a frame."""
        return self._last >= 0

    def next(self, stamp: int | None) -> int:
        """Microseconds, 0 or later, of the next frame. stamp: what its file says."""
        now = -1 if stamp is None else stamp
        if self._last < 0 or now > self._last:
            self._last = self._known = max(now, 0)
            self._run = 0
        else:
            self._run += 1
            self._last = max(self._last + 1, self._known + int(self._run * US / self._fps))
        return self._last
