"""Writes I420 frames and mono sound as MP4, marked as AI-generated, without half-written files."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from shared.media.aac_blocks import SoundBlocks
from shared.media.container import Finished, MediaFile
from shared.media.encoder import SMPTE170M, EncoderSpec, add_frames, encoder_frame
from shared.runtime.clock import SOUND_RATE_HZ, US

SOUND_BITS_PER_S = 128_000
_TICKS_PER_S = 90_000  # lowest resolution of time stamps, so that rounding microseconds to it is not visible


class Mp4Writer(Finished):
    """Writes one MP4 file: H.264 from I420 (BT.601, limited range) and AAC from 48 kHz mono.

    fragmented=False: a file of this name is always complete; `abort` (or an exception inside ``with``) leaves no file.
    fragmented=True: written in place, one fragment per second, playable up to the last fragment even if the process is
        killed.
    Raises StudioError if the file cannot be created or, later, written (a full disk). Not thread-safe.
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
        self.fps = Fraction(fps)
        self._last_tick = -1
        self._blocks = SoundBlocks()
        # A multiple of the frame rate, so that frames added by number have exact time stamps.
        self._per_frame = self.fps.denominator * max(1, -(-_TICKS_PER_S // self.fps.numerator))
        self._time_base = 1 / (self.fps * self._per_frame)
        flags = "+frag_keyframe+empty_moov+default_base_moof" if fragmented else "+faststart"
        options = {"preset": preset, "crf": str(crf)}
        if fragmented:
            # An empty moov cannot state the delay of the video by B-frames, so sound would be early.
            options["bf"] = "0"
        self._file = MediaFile(self.path, "mp4", {"movflags": flags}, in_place=fragmented)
        self._frame = add_frames(
            self._file.container,
            EncoderSpec("libx264", "yuv420p", options),
            (width, height),
            self.fps,
            time_base=self._time_base,
            threads=threads,
            gop=max(1, round(self.fps)),
            matrix=SMPTE170M,
        )
        self._sound = self._add_sound() if sound else None

    def _add_sound(self) -> av.AudioStream:
        stream = self._file.container.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono")
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = SOUND_BITS_PER_S
        return stream

    def frame(self, i420: NDArray[np.uint8], *, index: int | None = None, pts: int | None = None) -> None:
        """Add a (H * 3 / 2, W) uint8 I420 frame by its number or by its pts in microseconds.

        A frame that is not later than the last one is dropped.
        """
        if (index is None) == (pts is None):
            raise ValueError("give either the frame's number or its pts")
        tick = index * self._per_frame if index is not None else round(Fraction(pts or 0, US) / self._time_base)
        if tick <= self._last_tick:
            return
        self._last_tick = tick
        self._encode(self._frame, encoder_frame(i420, tick, self._time_base, SMPTE170M))

    def sound(self, samples: NDArray[np.int16], pts: int) -> None:
        """Add (n,) int16 samples that begin at pts (microseconds). Gaps become silence, overlaps are cut."""
        if self._sound is None:
            raise ValueError("this file was opened without sound")
        for at, block in self._blocks.add(samples, round(pts * SOUND_RATE_HZ / US)):
            self._encode_sound(block, at)

    def _encode_sound(self, block: NDArray[np.int16], at: int) -> None:
        assert self._sound is not None
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SOUND_RATE_HZ
        frame.pts, frame.time_base = at, Fraction(1, SOUND_RATE_HZ)
        self._encode(self._sound, frame)

    def _encode(self, stream: av.VideoStream | av.AudioStream, frame: av.VideoFrame | av.AudioFrame | None) -> None:
        with self._file.writing():
            for packet in stream.encode(frame):  # type: ignore[arg-type]  # each is given its own kind
                self._file.container.mux(packet)

    def close(self) -> None:
        """Finish the file. A second call does nothing."""
        if self._file.closed:
            return
        if self._sound is not None and (rest := self._blocks.last_block()):
            self._encode_sound(rest[1], rest[0])
        for stream in (self._frame, self._sound):
            if stream is not None:
                self._encode(stream, None)
        self._file.close()

    def abort(self) -> None:
        """Stop writing and remove the unfinished file; a fragmented file is kept as far as it was written."""
        self._file.abort()
