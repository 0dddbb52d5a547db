"""FLV encoder for a live stream: the program as H.264 and AAC, at a steady bit rate and without reordering delay."""

from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np

from shared.media.aac_blocks import SoundBlocks
from shared.runtime.clock import SOUND_RATE_HZ, sound_samples
from shared.wire.program import ProgramFrame, ProgramSound

PRESET = "veryfast"
KEYFRAME_PERIOD_S = 2  # as the large streaming services require
SOUND_BITS_PER_S = 128_000
_SMPTE170M, _MPEG_RANGE = 6, 1  # BT.601 and limited range in H.273's numbering


class FlvWriter:
    """Encodes the program and passes FLV to `write`; the stream's time begins with its first frame.

    `frame` and `sound` raise the exceptions that `write` raises.
    """

    def __init__(self, write: Callable[[bytes], int], first: ProgramFrame, rate: Fraction, kbps: int) -> None:
        self.size = first.width, first.height
        self._rate = rate
        self._first = first.tick
        self._first_sample = sound_samples(first.tick, rate, SOUND_RATE_HZ)[0]
        self._last = -1
        self._blocks = SoundBlocks()
        options = {"flvflags": "no_duration_filesize", "flush_packets": "1"}
        self._sink = _Sink(write)
        self._container = av.open(self._sink, "w", format="flv", options=options)
        self._video = self._add_video(kbps)
        stream = self._container.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono")
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = SOUND_BITS_PER_S
        self._sound = stream

    def _add_video(self, kbps: int) -> av.VideoStream:
        rate = f"{kbps}k"
        options = {"preset": PRESET, "tune": "zerolatency", "maxrate": rate, "bufsize": rate}
        stream = self._container.add_stream("libx264", rate=self._rate, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = kbps * 1000
        codec = stream.codec_context
        codec.gop_size = round(self._rate * KEYFRAME_PERIOD_S)
        codec.thread_count = 2
        codec.color_range = _MPEG_RANGE
        codec.colorspace = codec.color_primaries = codec.color_trc = _SMPTE170M
        return stream

    def frame(self, program: ProgramFrame) -> None:
        """Encode one tick's frame."""
        index = program.tick - self._first
        if index <= self._last:
            return
        self._last = index
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(program.i420), format="yuv420p")
        frame.color_range, frame.colorspace = _MPEG_RANGE, _SMPTE170M
        frame.pts, frame.time_base = index, 1 / self._rate
        self._container.mux(self._video.encode(frame))

    def sound(self, sound: ProgramSound) -> None:
        """Encode one tick's sound; sound before the first frame is dropped."""
        if sound.tick < self._first:
            return
        begin = sound_samples(sound.tick, self._rate, SOUND_RATE_HZ)[0] - self._first_sample
        for at, block in self._blocks.add(sound.samples, begin):
            frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = SOUND_RATE_HZ
            frame.pts, frame.time_base = at, Fraction(1, SOUND_RATE_HZ)
            self._container.mux(self._sound.encode(frame))

    def close(self) -> None:
        """Release the encoders without writing anything more."""
        self._sink.closed = True
        self._container.close()


class _Sink:
    """A write-only file object for PyAV; discards data once closed."""

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self.closed = False
        self._write = write

    def write(self, data: bytes) -> int:
        return len(data) if self.closed else self._write(data)
