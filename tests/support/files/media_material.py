"""Synthetic frames, sound and drivers for the renderer's tests."""

import hashlib
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from services.renderer.encode.segment import SegmentWriter
from shared.media.array_types import ImageArray
from shared.media.colour import rgb_to_i420
from shared.media.mp4 import Mp4Writer
from shared.media.output_spec import OutputSpec

NTSC = Fraction(30000, 1001)


def moving(count: int, width: int = 160, height: int = 96) -> list[ImageArray]:
    """Return I420 frames with soft shapes that move and a bright bar that counts, so that each differs."""
    noise = np.random.default_rng(5).integers(0, 256, (height // 8, width // 4, 3)).astype(np.uint8)
    scene = cv2.resize(noise, (width * 2, height), interpolation=cv2.INTER_CUBIC)
    frames = []
    for number in range(count):
        rgb = np.roll(scene, -3 * number, axis=1)[:, :width].copy()
        rgb[: height // 6, : 4 + (number * 4) % (width - 4)] = 250
        frames.append(rgb_to_i420(np.asarray(rgb, np.uint8)))
    return frames


def segment(
    path: Path, frames: list[ImageArray], rate: Fraction = NTSC, output: OutputSpec = OutputSpec(), **how: int
) -> Path:
    """Write a finished segment of these frames."""
    width, height = frames[0].shape[1], frames[0].shape[0] * 2 // 3
    with SegmentWriter(path, width, height, rate, output, **how) as writer:
        for number, frame in enumerate(frames):
            writer.frame(number, frame)
    return path


def decoded(path: Path) -> tuple[list[Fraction], list[str]]:
    """(pts in seconds, hash of the pixels) of every frame."""
    stamps, hashes = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.pts is not None and frame.time_base is not None
            stamps.append(frame.pts * frame.time_base)
            hashes.append(hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest())
    return stamps, hashes


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """(pts in seconds, content) of every packet of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = container.streams.get({kind: 0})[0]
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size and p.pts is not None]


def chirp(seconds: float, rate: int) -> NDArray[np.int16]:
    """Return a tone that rises, (n,) int16, loud enough everywhere to be distinguished from silence."""
    t = np.arange(round(seconds * rate)) / rate
    return (12_000 * np.sin(2 * np.pi * (300 + 40 * t) * t)).astype(np.int16)


def first_frames(film: Path, to: Path, count: int, rate: Fraction = Fraction(25)) -> Path:
    """Write the first frames of a film, at another rate, without sound."""
    with av.open(str(film)) as source:
        frames = [frame.to_ndarray(format="yuv420p") for frame in islice(source.decode(video=0), count)]
    with Mp4Writer(to, frames[0].shape[1], frames[0].shape[0] * 2 // 3, rate, sound=False) as writer:
        for number, frame in enumerate(frames):
            writer.frame(np.asarray(frame, np.uint8), index=number)
    return to


def write_driver(
    path: Path,
    *,
    frames: int = 0,
    rate: Fraction = Fraction(25),
    sound: float = 0.0,
    codec: str = "aac",
    sound_rate: int = 48_000,
    sound_begin: float = 0.0,
    video_begin: float = 0.0,
    video: str = "libx264",
    options: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    layout: str = "mono",
    sound_options: dict[str, str] | None = None,
) -> Path:
    """Write a driver with so many frames and so many seconds of sound, each beginning at its given time."""
    with av.open(str(path), "w") as container:
        seen = cast(VideoStream, container.add_stream(video, rate=rate, options=options or {})) if frames else None
        heard = (
            cast(AudioStream, container.add_stream(codec, sound_rate, sound_options or {}, layout=layout))
            if sound
            else None
        )
        if seen is not None:
            seen.width, seen.height, seen.pix_fmt = 160, 96, pixels
            seen.codec_context.time_base = 1 / rate
            for number, image in enumerate(moving(frames)):
                frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
                frame.pts, frame.time_base = number + round(video_begin * rate), 1 / rate
                container.mux(seen.encode(frame))
            container.mux(seen.encode(None))
        if heard is not None:
            samples = chirp(sound, sound_rate)
            for at in range(0, len(samples), 1024):
                block = av.AudioFrame.from_ndarray(samples[None, at : at + 1024], format="s16", layout="mono")
                block.sample_rate = sound_rate
                block.pts, block.time_base = at + round(sound_begin * sound_rate), Fraction(1, sound_rate)
                container.mux(heard.encode(block))
            container.mux(heard.encode(None))
    return path
