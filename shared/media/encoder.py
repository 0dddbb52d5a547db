"""Video encoders for output: their choice, their options, and the conversion of program frames for them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from shared.errors import StudioError
from shared.media.colour import planes

MPEG_RANGE = 1
BT709, SMPTE170M = 1, 6  # matrices, primaries and transfer functions as H.273 numbers them; the second is BT.601
_PROBE_SIDE_PX = 256  # NVENC refuses frames below about 145 pixels


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """A video encoder and its options.

    name: FFmpeg's name of the encoder. pixels: its pixel format. options: its settings. tag: sample entry in MP4 and
    MOV, if not all players accept FFmpeg's default (Apple's need hvc1). ahead: number of frames by which decoding
    precedes presentation, where the encoder reports it wrongly: libx265 does so if it receives fewer frames than its
    look-ahead.
    """

    name: str
    pixels: str
    options: dict[str, str] = field(default_factory=dict)
    tag: str = ""
    ahead: int | None = None


# Every encoder uses closed groups of frames and gives identical output for the same number of threads, on every run
# and machine, because segments from several workers are joined.
_X265 = "log-level=error:info=0:open-gop=0:frame-threads=1"
_ENCODERS = {
    "h264": [
        EncoderSpec("h264_nvenc", "yuv420p", {"preset": "p5", "rc": "vbr", "cq": "19", "b": "0", "strict_gop": "1"}),
        # Slower presets take twice the time without being more accurate at this quality.
        # Without cpu-independent, one in ten files of the same frames differed, because fast code paths may round
        # differently.
        EncoderSpec("libx264", "yuv420p", {"preset": "veryfast", "crf": "18", "x264-params": "cpu-independent=1"}),
    ],
    "hevc": [
        EncoderSpec(
            "hevc_nvenc", "yuv420p", {"preset": "p5", "rc": "vbr", "cq": "21", "b": "0", "strict_gop": "1"}, "hvc1"
        ),
        EncoderSpec("libx265", "yuv420p", {"preset": "fast", "crf": "20", "x265-params": _X265}, "hvc1", ahead=2),
    ],
    "prores": [EncoderSpec("prores_ks", "yuv422p10le", {"profile": "3", "vendor": "apl0"})],
    "vp9": [
        EncoderSpec(
            "libvpx-vp9",
            "yuva420p",
            # FFmpeg does not support alpha together with alternate reference frames.
            {"deadline": "good", "cpu-used": "4", "crf": "24", "b": "0", "row-mt": "1", "auto-alt-ref": "0"},
        )
    ],
}


def choose_encoder(codec: str, name: str | None = None) -> EncoderSpec:
    """Return the encoder of this name, or the codec's first one that opens on this machine, hardware before software.

    Raises StudioError if the named encoder does not open. Trying NVENC loads CUDA into the process, so do not call this
    in a process that forks afterwards.
    """
    known = _ENCODERS[codec]
    if name is None:
        return next(each for each in known if _opens(each))
    chosen = next((each for each in known if each.name == name), None)
    if chosen is None:
        names = ", ".join(each.name for each in known)
        raise StudioError(f"'{name[:40]}' cannot encode {codec}; choose one of {names}.")
    if not _opens(chosen):
        raise StudioError(
            f"The encoder {name} does not open on this machine; render with {known[-1].name}, or on a machine where it "
            "does."
        )
    return chosen


def _opens(encoder: EncoderSpec) -> bool:
    return "nvenc" not in encoder.name or _nvenc_opens(encoder.name)


@lru_cache
def _nvenc_opens(name: str) -> bool:
    """Whether NVENC can encode a test frame.

    Every build of FFmpeg has the encoder, but the hardware may be missing, its driver too old, or its sessions used up.
    """
    try:
        context = av.CodecContext.create(name, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width = context.height = _PROBE_SIDE_PX
        context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 25)
        frame = av.VideoFrame(_PROBE_SIDE_PX, _PROBE_SIDE_PX, "yuv420p")
        frame.pts = 0
        return bool([*context.encode(frame), *context.encode(None)])
    except (av.error.FFmpegError, OSError, ValueError):
        return False


def add_frames(
    container: av.container.OutputContainer,
    encoder: EncoderSpec,
    size: tuple[int, int],
    fps: Fraction,
    *,
    time_base: Fraction,
    threads: int,
    gop: int,
    matrix: int,
) -> av.VideoStream:
    """Add a video stream for limited-range frames of `size`, which is (width, height).

    gop: most frames from one key frame to the next. matrix: BT709 or SMPTE170M, also used for primaries and transfer
    function.
    """
    options = dict(encoder.options)
    if encoder.name == "libx265":
        options["x265-params"] = f"{options['x265-params']}:pools={threads}"
    stream = container.add_stream(encoder.name, rate=fps, options=options)
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height = size
    stream.pix_fmt = encoder.pixels
    codec = stream.codec_context
    codec.time_base = stream.time_base = time_base
    codec.gop_size = gop
    codec.thread_count = threads
    codec.color_range = MPEG_RANGE
    codec.colorspace = codec.color_primaries = codec.color_trc = matrix
    if encoder.tag:
        codec.codec_tag = encoder.tag
    return stream


def encoder_frame(
    i420: NDArray[np.uint8],
    pts: int,
    time_base: Fraction,
    matrix: int,
    pixels: str = "yuv420p",
    alpha: NDArray[np.uint8] | None = None,
) -> av.VideoFrame:
    """Convert a program frame to a frame for an encoder.

    i420: (H * 3 / 2, W) uint8. pixels: yuv420p, yuv422p10le or yuva420p. alpha: for yuva420p, (H, W) uint8, None for
    opaque.
    """
    if pixels == "yuva420p":
        frame = _with_alpha(i420, alpha)
    elif pixels == "yuv422p10le":
        frame = _deepened(i420)
    else:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(i420), format=pixels)
    frame.color_range = MPEG_RANGE
    frame.colorspace = frame.color_primaries = frame.color_trc = matrix
    frame.pts, frame.time_base = pts, time_base
    return frame


def _with_alpha(i420: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> av.VideoFrame:
    luma, u, v = planes(i420)
    matte = np.full_like(luma, 255) if alpha is None else alpha
    frame = av.VideoFrame(luma.shape[1], luma.shape[0], "yuva420p")
    _fill(frame, (luma, u, v, matte))
    return frame


def _deepened(i420: NDArray[np.uint8]) -> av.VideoFrame:
    """Convert 8 bit 4:2:0 to 10 bit 4:2:2, with chroma rows interpolated."""
    luma, u, v = planes(i420)
    frame = av.VideoFrame(luma.shape[1], luma.shape[0], "yuv422p10le")
    deep = [luma.astype(np.uint16) * np.uint16(4)]
    for chroma in (u, v):
        taller = cv2.resize(chroma.astype(np.float32), (chroma.shape[1], luma.shape[0]), interpolation=cv2.INTER_LINEAR)
        deep.append(np.rint(taller * 4).astype(np.uint16))
    _fill(frame, deep)
    return frame


def _fill(frame: av.VideoFrame, sources: Sequence[NDArray[Any]]) -> None:
    for plane, source in zip(frame.planes, sources, strict=True):
        rows = np.frombuffer(memoryview(plane), source.dtype).reshape(plane.height, -1)  # rows may be padded
        rows[:, : source.shape[1]] = source
