"""Reads users' video and sound with limits on time and size; failures become one sentence."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import av
import av.error

from shared.errors import StudioError, short
from shared.media.array_types import AudioSamples, ImageArray
from shared.media.display.frame_view import FrameView
from shared.media.display.interlacing import whole_frames
from shared.media.display.transparency import decoder_of
from shared.media.intake.damage import Damage, decoded, packets
from shared.media.intake.downmix import Downmix
from shared.media.intake.refusal import check_readable, why_unopened
from shared.media.intake.stamps import RisingStamps, stamp_of, stated_rate
from shared.media.intake.tracks import sound_of, video_of
from shared.media.mp4 import Mp4Writer
from shared.runtime.clock import SOUND_RATE_HZ, US

__all__ = [
    "Mp4Writer",
    "VideoReader",
    "has_video",
    "open_container",
    "read_sound",
    "sound_of",
    "video_of",
]

MediaSource = Path | str
TimedFrame = tuple[int, av.VideoFrame]  # pts in microseconds

MAX_VIDEO_PIXELS = 8192 * 4320
OPEN_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 10.0
# Protocols that FFmpeg may use for a source, by the source's scheme. The formats of local files do not include
# playlists: a file called video.mp4 could otherwise name other files for FFmpeg to read.
_PROTOCOLS = {
    "": "file",
    "http": "http,https,httpproxy,tcp,tls,crypto",
    "https": "http,https,httpproxy,tcp,tls,crypto",
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,srtp,udp,tcp,tls,crypto",
}
# Formats whose packets have correct time stamps after a seek; files in other formats are read from the beginning.
_EXACT_FORMATS = ("mov,", "matroska", "mpegts")
_LOOK_BACK_US = (0, 3_000_000, 12_000_000)  # how far before the start to seek, tried in turn until a key frame is found
_LOCAL_FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,wav,mp3,flac,aac,mjpeg,m4v,h264,hevc,obu,asf,gif,apng,ivf,w64,aiff,"
    "amr,amrnb,amrwb,caf,ac3,eac3,dts,au,wv,ape,mxf,dv,rm,yuv4mpegpipe"
)


def open_container(source: MediaSource) -> av.container.InputContainer:
    """Open a local file or an rtsp, rtsps, http or https address for reading.

    Opening and every read fail after 10 s. The frame rate of an RTSP source is not measured, which would take as long
    as 20 frames. Raises StudioError if the source cannot be opened or has another format, such as a playlist that would
    make FFmpeg open further files.
    """
    scheme = urlsplit(source).scheme.lower() if isinstance(source, str) and "://" in source else ""
    if scheme not in _PROTOCOLS:
        raise StudioError(
            f"'{scheme}://' sources are not supported; use a file, or an rtsp, rtsps, http or https address."
        )
    options = {"protocol_whitelist": _PROTOCOLS[scheme]}
    if scheme:
        address = str(source)
        options["reconnect"] = "0"
        if scheme.startswith("rtsp"):
            options |= {"rtsp_transport": "tcp", "fpsprobesize": "0"}
    else:
        path = Path(source)
        address = str(path.absolute())  # with a leading slash, no part of the name can be parsed as a protocol
        options["format_whitelist"] = _LOCAL_FORMATS
        check_readable(path)
    try:
        opened = av.open(address, options=options, timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S))
        if not scheme and not len(opened.streams):
            opened.close()
            raise ValueError("it has no tracks")
        return opened
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if not scheme:
            raise StudioError(why_unopened(Path(source), error)) from None
        raise StudioError(
            f"{source_title(source)} cannot be opened ({short(error)}); check that it plays elsewhere."
        ) from None


def source_title(source: MediaSource) -> str:
    """Return a source's name for messages: its file name, or its address without user, password and query."""
    if isinstance(source, str) and "://" in source:
        parts = urlsplit(source)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
    return Path(source).name


def has_video(source: MediaSource) -> bool:
    """Whether a source has a video track; one with sound alone is a voice.

    Raises StudioError if it has neither video nor sound or cannot be opened.
    """
    with open_container(source) as container:
        if video_of(container) is not None:
            return True
        if sound_of(container) is None:
            raise StudioError(f"{source_title(source)} has neither video nor sound; give a video or sound file.")
        return False


class VideoReader:
    """Reads the frames of a video in order, upright. Not thread-safe.

    max_side: length in pixels to which a frame's longer side is reduced; None for no limit.
    start: microseconds after the first frame; reading begins with the frame that is shown at that time. This frame and
        all later ones have exactly the pixels and pts that they have when reading from the beginning.
    width, height: pixels after rotation and scaling. If the size changes within the stream, frames are scaled to it.
    fps: average frames per second. duration: seconds, 0.0 if unknown (a live source). promised: duration of the video
        track in seconds as the file states it, None if it does not. has_audio: whether there is a sound track.
    origin: microseconds of the first frame on the file's own clock, None in files without time stamps.
    damage: frames read so far that could not be decoded; the frame before such a frame is shown longer.
    Raises StudioError if no frame can be decoded.
    """

    def __init__(self, source: MediaSource, max_side: int | None = None, start: int = 0) -> None:
        self.name = source_title(source)
        self._source = source
        self.damage = Damage()
        self._container = open_container(source)
        try:
            self._stream = self._video_stream()
            frames = self._whole()
            first = next(frames, None)
            if first is None:
                raise StudioError(f"{self.name} contains no readable frame; export or download it again.")
            self._measure(first, max_side)
            self.origin = stamp_of(first)
            self._timed = self._from(start, chain([first], frames))
        except BaseException:
            self._container.close()
            raise

    def _video_stream(self) -> av.VideoStream:
        stream = video_of(self._container)
        if stream is None:
            raise StudioError(f"{self.name} has no video in it; give a video file.")
        if stream.codec_context is None:
            raise StudioError(f"The video of {self.name} has an unsupported format; convert it to H.264.")
        if stream.codec_context.width * stream.codec_context.height > MAX_VIDEO_PIXELS:
            raise StudioError(f"{self.name} has {stream.width}x{stream.height} pixels; use a video of 8K or less.")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 2
        self._decoder = decoder_of(stream)
        return stream

    def _measure(self, frame: av.VideoFrame, max_side: int | None) -> None:
        stream = self._stream
        self._view = FrameView(stream, frame, max_side)
        self.width, self.height = self._view.width, self._view.height
        self.fps = stated_rate(stream)
        known = self._container.duration
        self.duration = known / US if known and known > 0 else 0.0
        stated = stream.duration if self._container.format.name.startswith("mov,") else None
        self.promised = float(stated * stream.time_base) if stated and stream.time_base else None
        self.has_audio = sound_of(self._container) is not None

    def _whole(self, from_key: bool = False) -> Iterator[av.VideoFrame]:
        return whole_frames(self._decode(from_key), after_seek=from_key)

    def _decode(self, from_key: bool = False) -> Iterator[av.VideoFrame]:
        """Decode frames in presentation order.

        from_key: begin with the next key frame, and omit frames that are decoded after it but shown before it.
        """
        waiting = trusting = not from_key
        try:
            for packet in packets(self._container, [self._stream], self.damage):
                waiting = waiting or packet.is_keyframe or not packet.size
                for frame in decoded(packet, self.damage, self._decoder) if waiting else ():
                    trusting = trusting or bool(frame.key_frame)
                    if trusting and isinstance(frame, av.VideoFrame):
                        yield frame
        except (av.error.FFmpegError, OSError) as error:
            raise StudioError(
                f"{self.name} cannot be read any further ({short(error)}); check that it plays elsewhere."
            ) from None

    def _from(self, start: int, frames: Iterator[av.VideoFrame]) -> Iterator[TimedFrame]:
        """The frames from the one shown at `start` on. frames: the frames from the beginning of the file."""
        if start <= 0:
            return self._stamped(frames)
        if self.origin is not None and self._container.format.name.startswith(_EXACT_FORMATS):
            for back in _LOOK_BACK_US:
                if start > back and (found := self._sought(start, back)):
                    return found
            self._container.close()
            self._container = open_container(self._source)
            self._stream = self._video_stream()
            self.damage.clear()
            frames = self._whole()
        return _shown_from(self._stamped(frames), start)

    def _sought(self, start: int, back: int) -> Iterator[TimedFrame] | None:
        """The frames from the one shown at `start` on, by seeking to a key frame `back` microseconds or more before it.

        None if the result might differ from reading from the beginning.
        """
        origin, base = self.origin or 0, self._stream.time_base or Fraction(1, US)
        try:
            self._container.seek(ceil((origin + start - back) / (base * US)), stream=self._stream)
            self._decoder.flush_buffers()
            frames = self._whole(from_key=True)
            last: TimedFrame | None = None
            for frame in frames:
                pts = stamp_of(frame)
                if pts is None or (last is not None and pts - origin <= last[0]):
                    return None  # `RisingStamps` would correct these, which depends on all earlier frames
                if pts - origin > start:
                    return chain([last, (pts - origin, frame)], self._stamped(frames, pts - origin)) if last else None
                last = pts - origin, frame
            return iter([last]) if last else None
        except (StudioError, av.error.FFmpegError, OSError):
            return None

    def _stamped(self, frames: Iterator[av.VideoFrame], last: int = -1) -> Iterator[TimedFrame]:
        """The frames with pts in microseconds, rising from 0. last: pts of the frame before, -1 for none."""
        stamps = RisingStamps(self.fps, last)
        for frame in frames:
            pts = stamp_of(frame)
            yield stamps.next(pts - (self.origin or 0) if pts is not None else None), frame

    def __iter__(self) -> Iterator[tuple[int, ImageArray]]:
        """Iterate over the frames as (pts in microseconds, (height, width, 3) uint8 RGB), with pts rising from 0.

        Raises StudioError, which names the file, if reading fails before the end.
        """
        return ((pts, self._view.rgb(frame)) for pts, frame in self._timed)

    def cut_out(self) -> Iterator[tuple[int, ImageArray, ImageArray | None]]:
        """Iterate like `__iter__`, with each frame's (height, width) uint8 alpha as third item; None without alpha."""
        return ((pts, *self._view.cut_out(frame)) for pts, frame in self._timed)

    def shown_at(self, times: Iterable[int]) -> Iterator[tuple[ImageArray, bool]]:
        """Yield the frame shown at each of these rising times (microseconds), and whether it is a new frame.

        After the end the last frame is repeated. A frame that is never shown is not converted. Raises like `__iter__`.
        """
        ahead = next(self._timed, None)
        frame, rgb = None, None
        for time in times:
            new = False
            while ahead is not None and (ahead[0] <= time or frame is None):
                frame, new = ahead[1], True
                ahead = next(self._timed, None)
            if frame is None:
                return
            if new or rgb is None:
                rgb = self._view.rgb(frame)
            yield rgb, new

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()


def _shown_from(timed: Iterator[TimedFrame], start: int) -> Iterator[TimedFrame]:
    last: TimedFrame | None = None
    for each in timed:
        if last is not None and each[0] > start:
            yield last
            yield each
            yield from timed
            return
        last = each
    if last is not None:
        yield last


def read_sound(source: MediaSource, damage: Damage | None = None) -> Iterator[tuple[int, AudioSamples]]:
    """Yield each block of sound as (pts in microseconds, (n,) int16 mono at 48 kHz), with pts on the file's own clock.

    Yields nothing for a file without sound. damage: counts the sound that could not be decoded. Raises StudioError if
    the source cannot be opened, has no sound that can be decoded, or becomes unavailable.
    """
    with open_container(source) as container:
        yield from decoded_sound(container, source_title(source), damage if damage is not None else Damage())


def decoded_sound(
    container: av.container.InputContainer, name: str, damage: Damage
) -> Iterator[tuple[int, AudioSamples]]:
    """Read sound like `read_sound`, from an open container. name: the source's name in messages."""
    stream = sound_of(container)
    if stream is None:
        return
    if stream.codec_context is None:
        raise StudioError(f"The sound of {name} has an unsupported format; convert it to AAC or WAV.")
    origin = (container.start_time or 0) if container.start_time and container.start_time > 0 else 0
    mix = Downmix("mono")
    next_pts = 0
    found = False
    try:
        for frame in chain(_sound_frames(container, stream, damage), (None,)):
            for block, samples in mix.blocks(frame):
                pts, found = stamp_of(block), True
                next_pts = next_pts if pts is None or frame is None else pts - origin
                yield next_pts, samples.reshape(-1)
                next_pts += len(samples) * US // SOUND_RATE_HZ
    except (av.error.FFmpegError, OSError) as error:
        raise StudioError(
            f"The sound of {name} cannot be read any further ({short(error)}); check that it plays elsewhere."
        ) from None
    if not found and (damage.sound_us or damage.gaps):
        raise StudioError(f"{name} holds no sound that can be read; export or download it again.")


def _sound_frames(
    container: av.container.InputContainer, stream: av.AudioStream, damage: Damage
) -> Iterator[av.AudioFrame]:
    for packet in packets(container, [stream], damage):
        yield from (each for each in decoded(packet, damage) if isinstance(each, av.AudioFrame))
