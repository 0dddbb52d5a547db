"""Writing MP4: I420 pictures and mono sound, marked as AI-generated, never a half-written file."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from shared.errors import StudioError
from shared.sound_blocks import RATE, SoundBlocks

SOUND_RATE = RATE
SOUND_BIT_RATE = 128_000
COMMENT = "AI-generated"
_SMPTE170M = 6  # BT.601 in H.273's numbering of matrices, primaries and transfer functions
_MPEG_RANGE = 1
_TICKS = 90_000  # at least this many ticks a second, so that microsecond time stamps lose nothing visible


class Mp4Writer:
    """Writes one MP4 file: H.264 from I420 (BT.601, limited range) and AAC from 48 kHz mono.

    fragmented=False: written to `<name>.part` and renamed when closed, so that the name only ever means a
        whole file; `abort` (or an exception inside ``with``) leaves nothing.
    fragmented=True: written in place, one fragment a second, playable up to the last fragment whatever
        happens to the process.
    Raises StudioError when the file cannot be written, now or later (a full disk). Not thread-safe.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        fps: Fraction,
        sound: bool,
        preset: str = "veryfast",
        crf: int = 20,
        *,
        fragmented: bool = False,
        threads: int = 2,
    ) -> None:
        if width % 2 or height % 2:
            raise ValueError(f"I420 has even sides, not {width}x{height}")
        self.path = Path(path)
        self._part = self.path if fragmented else self.path.with_name(self.path.name + ".part")
        self._size = width, height
        self.fps = Fraction(fps)
        self._closed = False
        self._last_tick = -1
        self._blocks = SoundBlocks()
        flags = "+frag_keyframe+empty_moov+default_base_moof" if fragmented else "+faststart"
        with self._mended():
            self._part.open("wb").close()  # ffmpeg would not try before the first packet is there
            self._container = av.open(
                str(self._part.absolute()), "w", format="mp4", options={"movflags": flags, "flush_packets": "1"}
            )
        self._container.metadata["comment"] = COMMENT
        self._picture = self._add_picture(preset, crf, threads, fragmented)
        self._sound = self._add_sound() if sound else None

    def _add_picture(self, preset: str, crf: int, threads: int, fragmented: bool) -> av.VideoStream:
        options = {"preset": preset, "crf": str(crf)}
        if fragmented:
            # An empty moov cannot say by how much B-frames delay the picture, so sound would be early.
            options["bf"] = "0"
        stream = self._container.add_stream("libx264", rate=self.fps, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        # A multiple of the frame rate, so that numbered pictures land exactly.
        self._per_frame = self.fps.denominator * max(1, -(-_TICKS // self.fps.numerator))
        codec.time_base = stream.time_base = 1 / (self.fps * self._per_frame)
        codec.gop_size = max(1, round(self.fps))
        codec.thread_count = threads
        codec.color_range = _MPEG_RANGE
        codec.colorspace = codec.color_primaries = codec.color_trc = _SMPTE170M
        return stream

    def _add_sound(self) -> av.AudioStream:
        stream = self._container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = SOUND_BIT_RATE
        return stream

    def picture(self, i420: NDArray[np.uint8], *, index: int | None = None, pts: int | None = None) -> None:
        """Add a (H * 3 / 2, W) uint8 I420 picture at its number, or at its pts in microseconds.

        A picture that does not come after the last one is dropped.
        """
        if (index is None) == (pts is None):
            raise ValueError("give either the picture's number or its pts")
        tick = index * self._per_frame if index is not None else round(Fraction(pts or 0, 1_000_000) / self._time_base)
        if tick <= self._last_tick:
            return
        self._last_tick = tick
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(i420), format="yuv420p")
        frame.color_range = _MPEG_RANGE
        frame.colorspace = _SMPTE170M
        frame.pts, frame.time_base = tick, self._time_base
        with self._mended():
            for packet in self._picture.encode(frame):
                self._container.mux(packet)

    @property
    def _time_base(self) -> Fraction:
        return 1 / (self.fps * self._per_frame)

    def sound(self, samples: NDArray[np.int16], pts: int) -> None:
        """Add (n,) int16 samples that begin at pts (microseconds). A gap becomes silence, what overlaps is cut."""
        if self._sound is None:
            raise ValueError("this file was opened without sound")
        for at, block in self._blocks.add(samples, round(pts * SOUND_RATE / 1_000_000)):
            self._encode_sound(block, at)

    def _encode_sound(self, block: NDArray[np.int16], at: int) -> None:
        assert self._sound is not None
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SOUND_RATE
        frame.pts, frame.time_base = at, Fraction(1, SOUND_RATE)
        with self._mended():
            for packet in self._sound.encode(frame):
                self._container.mux(packet)

    def close(self) -> None:
        """Finish the file. Does nothing the second time."""
        if self._closed:
            return
        if self._sound is not None and (rest := self._blocks.rest()):
            self._encode_sound(rest[1], rest[0])
        with self._mended():
            for stream in (self._picture, self._sound):
                for packet in stream.encode(None) if stream is not None else ():
                    self._container.mux(packet)
            self._container.close()
            self._closed = True
            if self._part != self.path:
                os.replace(self._part, self.path)

    def abort(self) -> None:
        """Give up: an unfinished file is removed (a fragmented one stays, as far as it got)."""
        if self._closed:
            return
        self._closed = True
        try:
            self._container.close()
        except (av.error.FFmpegError, OSError):
            pass  # the disk may be full, which is why we are here
        if self._part != self.path:
            self._part.unlink(missing_ok=True)

    @contextmanager
    def _mended(self) -> Iterator[None]:
        """A failed write as one sentence, with nothing half-written left."""
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            if hasattr(self, "_container"):
                self.abort()
            raise StudioError(_sentence(self.path, error)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def _sentence(path: Path, error: Exception) -> str:
    if getattr(error, "errno", None) == errno.ENOSPC:
        return f"The disk is full, so {path.name} could not be finished; free some space and try again."
    return f"{path} cannot be written ({getattr(error, 'strerror', None) or error}); choose another place."
