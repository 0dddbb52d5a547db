"""Decoded video and sound of a driver, in the order of its container."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from shared.errors import StudioError, short
from shared.face.follower import FOLLOWED_SIDE_PX
from shared.media.display.frame_view import FrameView
from shared.media.display.interlacing import Deinterlacer
from shared.media.display.transparency import decoder_of
from shared.media.intake.damage import Damage, decoded, packets
from shared.media.intake.downmix import Downmix
from shared.media.intake.stamps import RisingStamps, stamp_of, stated_rate
from shared.media.reader import decoded_sound, open_container, sound_of, source_title, video_of
from shared.runtime.clock import SOUND_RATE_HZ, US

if TYPE_CHECKING:
    from shared.media.intake.damage import Packet


@dataclass(frozen=True, slots=True)
class DriverFrame:
    """A decoded frame of a driver.

    pts: microseconds, from the driver's start or on the channel clock. rgb: (H, W, 3) uint8, upright, long side at most
    FOLLOWED_SIDE_PX.
    """

    pts: int
    rgb: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DriverSoundBlock:
    """A decoded block of a driver's sound.

    pts: microseconds of the first sample on the same clock as the frames. samples: (n,) int16 mono, 48 kHz. drives:
    whether this voice moves the host, because the driver has no frames.
    """

    pts: int
    samples: NDArray[np.int16]
    drives: bool = False


def read_driver(
    source: Path | str, *, motion: bool | None = None, damage: Damage
) -> Iterator[DriverFrame | DriverSoundBlock]:
    """Yield the frames and the sound of a file or stream; pts count from the first of them.

    motion: the result of `has_motion`: False if the sound alone moves the host. None for a source that has not been
    examined before: video then moves the host if there is any. damage: counts what cannot be decoded. Raises
    StudioError when the source has neither frames nor sound, cannot be opened, or breaks off.
    """
    # Open the source only once: it may accept a single client and stop when that client disconnects.
    with open_container(source) as container:
        video = video_of(container)
        if video is None or motion is False:
            yield from _read_voice(container, source_title(source), damage)
            return
        video.thread_type = "AUTO"
        video.codec_context.thread_count = 1  # one core is enough at this size; other services need the others
        sound = sound_of(container)
        streams: list[av.VideoStream | av.AudioStream] = [video] if sound is None else [video, sound]
        mix = Downmix("mono")
        origin: int | None = None
        heard = 0  # microseconds: the end of the sound so far
        shown, rising = _ShownFrames(video), RisingStamps(stated_rate(video))
        try:
            for packet in packets(container, streams, damage):
                for frame in shown.whole(packet, damage) if packet.stream is video else decoded(packet, damage):
                    pts = stamp_of(frame)
                    origin = pts if origin is None else origin
                    since = pts - origin if pts is not None and origin is not None else None
                    if isinstance(frame, av.VideoFrame):
                        early = since is not None and since < 0 and not rising.begun  # before the first sound
                        yield DriverFrame(0 if early else rising.next(since), shown.rgb(frame))
                        continue
                    heard = heard if since is None else max(0, since)
                    for _, samples in mix.blocks(frame):
                        yield DriverSoundBlock(heard, samples.reshape(-1))
                        heard += len(samples) * US // SOUND_RATE_HZ
            for _, samples in mix.blocks(None):
                yield DriverSoundBlock(heard, samples.reshape(-1))
        except (av.error.FFmpegError, OSError) as error:
            raise StudioError(
                f"{source_title(source)} cannot be read any further ({short(error)}); check that it plays elsewhere."
            ) from None


class _ShownFrames:
    """Decodes a driver's video to upright, deinterlaced frames, also where their size changes."""

    def __init__(self, stream: av.VideoStream) -> None:
        self._stream, self._decoder = stream, decoder_of(stream)
        self._deinterlacer = Deinterlacer()
        self._view: FrameView | None = None

    def whole(self, packet: "Packet", damage: Damage) -> list[av.VideoFrame]:
        """Return the frames that the stream's next packet completes; an empty packet flushes the decoder."""
        frames = decoded(packet, damage, self._decoder)
        whole = [
            each for frame in frames if isinstance(frame, av.VideoFrame) for each in self._deinterlacer.push(frame)
        ]
        return whole if packet.size else whole + self._deinterlacer.finish()

    def rgb(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """Return a frame as (H, W, 3) uint8, upright, with a long side of at most FOLLOWED_SIDE_PX."""
        if self._view is None or self._view.stored != (frame.width, frame.height):
            self._view = FrameView(self._stream, frame, FOLLOWED_SIDE_PX)
        return self._view.rgb(frame)


def _read_voice(container: av.container.InputContainer, name: str, damage: Damage) -> Iterator[DriverSoundBlock]:
    if sound_of(container) is None:
        raise StudioError(f"{name} has neither video nor sound; give a video or sound file.")
    origin: int | None = None
    for pts, samples in decoded_sound(container, name, damage):
        origin = pts if origin is None else origin
        yield DriverSoundBlock(max(0, pts - origin), samples, drives=True)


def shrink_to_limit(rgb: Any) -> NDArray[np.uint8]:
    """Return an (H, W, 3) uint8 frame, scaled down if its long side exceeds FOLLOWED_SIDE_PX."""
    height, width = rgb.shape[:2]
    scale = FOLLOWED_SIDE_PX / max(height, width)
    if scale >= 1:
        return np.asarray(rgb, np.uint8)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
