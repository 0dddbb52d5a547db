"""Small films that are coded in one special way."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

CodedPlane = NDArray[np.uint8] | NDArray[np.uint16]

LOSSLESS_H264 = {"qp": "0", "preset": "ultrafast"}


def write_film(
    path: Path,
    frames: Iterable[av.VideoFrame],
    codec: str = "libx264",
    *,
    options: Mapping[str, str] = LOSSLESS_H264,
    matrix: Sequence[int] | None = None,
    aspect: Fraction | None = None,
    tags: Mapping[str, str] | None = None,
    light: tuple[ColorTrc, ColorPrimaries] | None = None,
) -> Path:
    """Write a film of these frames at 25 a second.

    matrix: the nine numbers of its display matrix. aspect: a pixel's ratio of width to height. tags: the stream's tags.
    light: (transfer, primaries) with which the stream is tagged, besides the frames' matrix and range.
    """
    with av.open(str(path), "w") as container:
        stream: av.VideoStream | None = None
        for number, frame in enumerate(frames):
            if stream is None:
                added = container.add_stream(codec, rate=25, options=dict(options))
                assert isinstance(added, av.VideoStream)
                stream = added
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
                context = stream.codec_context
                context.colorspace, context.color_range = frame.colorspace, frame.color_range
                if aspect is not None:
                    context.sample_aspect_ratio = aspect
                if light is not None:
                    context.color_trc, context.color_primaries = light
                if matrix is not None:
                    stream.set_display_matrix(list(matrix))
                stream.metadata.update(tags or {})
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode(None))
    return path


def yuv_frame(
    y: CodedPlane, u: CodedPlane, v: CodedPlane, pixels: str = "yuv444p", matrix: int = 2, full: bool = False
) -> av.VideoFrame:
    """Return a frame of three planes, (H, W) each: uint8 or, in a format of more than 8 bits, uint16."""
    frame = av.VideoFrame(y.shape[1], y.shape[0], pixels)
    for plane, values in zip(frame.planes, (y, u, v), strict=True):
        rows = np.zeros((plane.height, plane.line_size // values.itemsize), values.dtype)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    return frame
