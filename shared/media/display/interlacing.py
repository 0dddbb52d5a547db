"""Deinterlaces films: builds a progressive frame from the two fields of each frame, which were taken in succession."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import av.error

from shared.runtime.clock import US

# Weston 3-field deinterlacing with motion adaptation; one output frame for each input frame. Progressive frames pass
# unchanged.
_FILTER, _SETTINGS = "bwdif", "mode=send_frame:parity=auto:deint=interlaced"

LEAST_PX = 4  # shortest side that the filter accepts


class Deinterlacer:
    """Makes the frames of a film progressive. Not thread-safe.

    Until the first interlaced frame, `push` returns each frame immediately and unchanged. From then on frames are
    returned one frame late, because the filter needs the fields of both neighbours.
    """

    def __init__(self, after_seek: bool = False) -> None:
        """after_seek: omit the first frame if it is interlaced.

        The frame before it is missing after a seek, so its result would differ from reading from the beginning.
        """
        self._after_seek = after_seek
        self._before: av.VideoFrame | None = None
        self._fields: _Fields | None = None

    def push(self, frame: av.VideoFrame) -> list[av.VideoFrame]:
        """Add the next frame and return the frames that are complete now."""
        if self._fields is None:
            if not frame.interlaced_frame or min(frame.width, frame.height) < LEAST_PX:
                self._before = frame
                return [frame]
            return self._begin(frame)
        rest: list[av.VideoFrame] = []
        if not self._fields.takes(frame):  # the size or format changes within the stream
            rest, self._fields = self._fields.finish(), _Fields(frame)
        return rest + self._fields.push(frame)

    def finish(self) -> list[av.VideoFrame]:
        """Return the remaining frames, after the last `push`."""
        fields, self._fields = self._fields, None
        return [] if fields is None else fields.finish()

    def _begin(self, frame: av.VideoFrame) -> list[av.VideoFrame]:
        self._fields, before, self._before = _Fields(frame), self._before, None
        if before is not None and self._fields.takes(before):
            self._fields.push(before)
            self._fields.skip = 1  # `push` has already returned this frame
        elif before is None and self._after_seek:
            self._fields.skip = 1
        return self._fields.push(frame)


def whole_frames(frames: Iterable[av.VideoFrame], after_seek: bool = False) -> Iterator[av.VideoFrame]:
    """Yield the frames of a film, made progressive by a `Deinterlacer`."""
    deinterlacer = Deinterlacer(after_seek)
    for frame in frames:
        yield from deinterlacer.push(frame)
    yield from deinterlacer.finish()


class _Fields:
    """One run of the filter over frames of one size and format. skip: number of the next frames to omit."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self.skip = 0
        self._shape = frame.width, frame.height, frame.format.name
        self._base = frame.time_base or Fraction(1, US)
        self._stamps: list[int | None] = []
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=self._base
        )
        whole, sink = self._graph.add(_FILTER, _SETTINGS), self._graph.add("buffersink")
        source.link_to(whole)
        whole.link_to(sink)
        self._graph.configure()

    def takes(self, frame: av.VideoFrame) -> bool:
        return (frame.width, frame.height, frame.format.name) == self._shape

    def push(self, frame: av.VideoFrame) -> list[av.VideoFrame]:
        self._stamps.append(frame.pts)
        self._graph.vpush(frame)
        return self._ready()

    def finish(self) -> list[av.VideoFrame]:
        self._graph.vpush(None)
        return self._ready()

    def _ready(self) -> list[av.VideoFrame]:
        frames: list[av.VideoFrame] = []
        while True:
            try:
                frame = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return frames
            frame.pts, frame.time_base = self._stamps.pop(0), self._base  # the filter changes the time base
            if self.skip:
                self.skip -= 1
            else:
                frames.append(frame)
