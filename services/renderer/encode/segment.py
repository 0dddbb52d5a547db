"""Writing and checking one segment of a render.

Each segment is a file from a new encoder, so that finished segments only need to be concatenated.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np

from shared.errors import StudioError
from shared.media.array_types import ImageArray
from shared.media.colour import paste, resize_i420, to_bt709
from shared.media.container import Finished, MediaFile
from shared.media.encoder import BT709, SMPTE170M, add_frames, choose_encoder, encoder_frame
from shared.media.output_spec import FORMATS, FrameSize, OutputSpec, fit_within, is_hd
from shared.media.reader import open_container, video_of

# The encoder's output depends on it, so it is the same for all segments of a job, on any machine.
THREADS = 2
GOP_S = 2


class SegmentWriter(Finished):
    """Writes the frames 0, 1, 2... of one segment. The same frames give the same packets. Not thread-safe.

    The first frame is a key frame, and no frame refers to one before it. `path` appears, complete, when the segment is
    closed; after an exception inside ``with`` no file remains. Raises StudioError, NoSpaceError when the disk is full.
    """

    def __init__(
        self, path: Path, width: int, height: int, fps: Fraction, output: OutputSpec, threads: int = THREADS
    ) -> None:
        """width, height: size of the frames to be added; the file has the output's size. fps: frames a second."""
        size = output.size or (width, height)
        if width % 2 or height % 2:
            raise ValueError(f"I420 has even sides, not {width}x{height}")
        self.count = 0
        self._coded = 0
        self._encoder = choose_encoder(output.codec, output.encoder)
        self._hd = is_hd(size)
        self._matrix = BT709 if self._hd else SMPTE170M
        self._frame = _Frame((width, height), size)
        self._time_base = 1 / fps
        self._file = MediaFile(path, FORMATS[output.suffix], timing_options(output, fps))
        self._stream = add_frames(
            self._file.container,
            self._encoder,
            size,
            fps,
            time_base=self._time_base,
            threads=threads,
            gop=max(1, round(fps * GOP_S)),
            matrix=self._matrix,
        )

    def frame(self, number: int, i420: ImageArray, alpha: ImageArray | None = None) -> None:
        """Add the next frame.

        number: the frame's number, which must equal `count`. i420: (H * 3 / 2, W) uint8, BT.601, limited range;
        converted to BT.709 for an HD output. alpha: (H, W) uint8, 255 where the host is; used by codecs with alpha.
        """
        if number != self.count:
            raise ValueError(f"frame {self.count} comes next, not {number}")
        i420 = self._frame.frame(i420)
        if self._hd:
            i420 = to_bt709(i420)
        matte = self._frame.alpha(alpha) if self._encoder.pixels == "yuva420p" else None
        self._encode(encoder_frame(i420, number, self._time_base, self._matrix, self._encoder.pixels, matte))
        self.count += 1

    def _encode(self, frame: av.VideoFrame | None) -> None:
        with self._file.writing():
            for packet in self._stream.encode(frame):
                if self._encoder.ahead is not None:
                    packet.dts = self._coded - self._encoder.ahead
                self._coded += 1
                self._file.container.mux(packet)

    def close(self) -> None:
        """Finish the file. Does nothing if it is finished already."""
        if not self._file.closed:
            self._encode(None)
            self._file.close()

    def abort(self) -> None:
        """Stop writing and delete the unfinished file."""
        self._file.abort()


class _Frame:
    """Fits complete frames into another size, with black bars if the aspect ratios differ."""

    def __init__(self, inner: FrameSize, outer: FrameSize) -> None:
        self._same = inner == outer
        self._x, self._y, self._width, self._height = fit_within(inner, outer)
        width, height = outer
        self._bars = np.full((height * 3 // 2, width), 128, np.uint8)
        self._bars[:height] = 16
        self._clear = np.zeros((height, width), np.uint8)

    def frame(self, i420: ImageArray) -> ImageArray:
        if self._same:
            return i420
        framed = self._bars.copy()
        paste(framed, resize_i420(i420, self._width, self._height), self._x, self._y)
        return framed

    def alpha(self, alpha: ImageArray | None) -> ImageArray | None:
        if self._same:
            return alpha
        framed = self._clear.copy()
        inside = framed[self._y : self._y + self._height, self._x : self._x + self._width]
        inside[:] = 255 if alpha is None else _resized_plane(alpha, self._width, self._height)
        return framed


def _resized_plane(plane: ImageArray, width: int, height: int) -> ImageArray:
    import cv2

    how = cv2.INTER_AREA if width < plane.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=how), np.uint8)


def timing_options(output: OutputSpec, fps: Fraction) -> dict[str, str]:
    """Return muxer options for MP4 and MOV: a time scale in which each frame of this rate has an exact time."""
    if output.suffix == ".webm":
        return {}  # the time scale of WebM is always milliseconds
    scale = str(fps.numerator * max(1, -(-10_000 // fps.numerator)))
    return {"video_track_timescale": scale, "movie_timescale": scale}


def verify_segment(path: Path, frames: int) -> None:
    """Raise StudioError unless a segment is complete.

    It must have exactly `frames` frames, evenly spaced, of which the first is a key frame, and the first and the last
    must be decodable. Reads the file once and decodes at most two groups of frames. Damage that a decoder conceals is
    not detected here; a segment's hash detects it.
    """
    with open_container(path) as container:
        stream = video_of(container)
        if stream is None:
            raise StudioError(f"{path.name} has no frames; it must be rendered again.")
        stamps, problem = _stamps(container, stream)
        if not problem and len(stamps) != frames:
            problem = f"has {len(stamps)} frames instead of {frames}"
        problem = problem or _unevenness(stamps) or _decode_ends(container, stream, stamps)
    if problem:
        raise StudioError(f"{path.name} {problem}; it must be rendered again.")


def _stamps(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[list[int], str]:
    """Return the sorted pts of all frames, and a description of the first wrong packet, "" if all are right."""
    stamps: list[int] = []
    last: int | None = None
    try:
        for packet in container.demux(stream):
            if packet.dts is None and not packet.size:
                continue
            if packet.pts is None or packet.dts is None or (last is not None and packet.dts <= last):
                return stamps, f"has a wrong time stamp at frame {len(stamps)}"
            if packet.is_corrupt:
                return stamps, f"is damaged at frame {len(stamps)}"
            if not stamps and not packet.is_keyframe:
                return stamps, "does not begin with a key frame"
            stamps.append(packet.pts)
            last = packet.dts
    except (av.error.FFmpegError, OSError):
        return stamps, f"is damaged at frame {len(stamps)}"
    return sorted(stamps), ""


def _unevenness(stamps: list[int]) -> str:
    if not stamps or stamps[0] != 0:
        return "does not begin at 0"
    step = Fraction(stamps[-1], max(1, len(stamps) - 1))
    # A deviation of 1 is allowed, because containers with a millisecond scale round.
    if len(stamps) > 1 and (step == 0 or any(abs(pts - number * step) > 1 for number, pts in enumerate(stamps))):
        return "has uneven time stamps"
    return ""


def _decode_ends(container: av.container.InputContainer, stream: av.VideoStream, stamps: list[int]) -> str:
    """Return what is wrong with the first or the last frame, "" if both can be decoded."""
    for name, pts in (("first", stamps[0]), ("last", stamps[-1])):
        try:
            container.seek(pts, stream=stream)
            if not any(frame.pts == pts and not frame.is_corrupt for frame in _until(container, stream, pts)):
                return f"has a {name} frame that cannot be decoded"
        except (av.error.FFmpegError, OSError):
            return f"has a {name} frame that cannot be decoded"
    return ""


def _until(container: av.container.InputContainer, stream: av.VideoStream, pts: int) -> Iterator[av.VideoFrame]:
    for frame in container.decode(stream):
        yield frame
        if frame.pts is not None and frame.pts >= pts:
            return
