"""Video and sound of a driver, in the order they lie in its container."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from shared.errors import StudioError, short
from shared.face.follower import FOLLOWED_SIDE_PX
from shared.media.intake.damage import Damage, decoded, packets
from shared.media.intake.downmix import Downmix
from shared.media.reader import open_container, read_sound, sound_of, source_title, video_of
from shared.runtime.clock import US


@dataclass(frozen=True, slots=True)
class DriverFrame:
    """pts: microseconds, from the driver's start or on the channel clock. rgb: (H, W, 3) uint8, upright, long side
    at most FOLLOWED_SIDE_PX."""

    pts: int
    rgb: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DriverSoundBlock:
    """pts: microseconds of the first sample on the same clock as the frames. samples: (n,) int16 mono, 48 kHz.
    drives: there are no frames, so this voice is what moves the host."""

    pts: int
    samples: NDArray[np.int16]
    drives: bool = False


def read_driver(source: Path | str, *, motion: bool, damage: Damage) -> Iterator[DriverFrame | DriverSoundBlock]:
    """Everything in a video or sound file or stream, pts from the first of it.

    motion: what `has_motion` says; without, its sound moves the host. damage: what could not be decoded is counted there.
    Raises StudioError when it holds neither frames nor sound, cannot be opened, or its source is gone.
    """
    if not motion:
        yield from _read_voice(source, damage)
        return
    with open_container(source) as container:
        video = video_of(container)
        assert video is not None
        video.thread_type = "AUTO"
        video.codec_context.thread_count = 1  # one core goes a long way at this size, and the others need theirs
        sound = sound_of(container)
        streams: list[av.VideoStream | av.AudioStream] = [video] if sound is None else [video, sound]
        mix = Downmix("mono")
        origin: int | None = None
        try:
            for packet in packets(container, streams, damage):
                for frame in decoded(packet, damage):
                    if frame.pts is None or frame.time_base is None:
                        continue
                    pts = int(frame.pts * frame.time_base * US)
                    origin = pts if origin is None else origin
                    if isinstance(frame, av.VideoFrame):
                        yield DriverFrame(max(0, pts - origin), _upright(frame))
                    else:
                        for _, samples in mix.blocks(frame):
                            yield DriverSoundBlock(max(0, pts - origin), samples.reshape(-1))
        except (av.error.FFmpegError, OSError) as error:
            raise StudioError(f"{source_title(source)} cannot be read any further ({short(error)}).") from None


def _read_voice(source: Path | str, damage: Damage) -> Iterator[DriverSoundBlock]:
    origin: int | None = None
    for pts, samples in read_sound(source, damage):
        origin = pts if origin is None else origin
        yield DriverSoundBlock(max(0, pts - origin), samples, drives=True)


def shrink_to_limit(rgb: Any) -> NDArray[np.uint8]:
    """A (H, W, 3) uint8 frame with its long side at most FOLLOWED_SIDE_PX."""
    height, width = rgb.shape[:2]
    scale = FOLLOWED_SIDE_PX / max(height, width)
    if scale >= 1:
        return np.asarray(rgb, np.uint8)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _upright(frame: av.VideoFrame) -> NDArray[np.uint8]:
    rgb = shrink_to_limit(frame.to_ndarray(format="rgb24"))
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb
