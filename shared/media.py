"""Reading pictures, video and sound that users bring: bounded, never half, one sentence when it fails."""

import io
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from shared.errors import StudioError
from shared.mp4 import SOUND_RATE, Mp4Writer

if TYPE_CHECKING:  # Pillow is imported where it is used only: live services have no need of it
    from PIL import Image

__all__ = [
    "SOUND_RATE",
    "Mp4Writer",
    "VideoReader",
    "has_pictures",
    "open_container",
    "read_image",
    "read_sound",
    "video_of",
]

Picture = NDArray[np.uint8]
Source = Path | str

MAX_IMAGE_PIXELS = 50_000_000
MAX_IMAGE_BYTES = 64 << 20
MAX_VIDEO_PIXELS = 8192 * 4320
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
BACKDROP = 128  # grey behind a transparent portrait: neutral to every colour measure taken from it later
OPEN_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 10.0
# What ffmpeg may open by itself on behalf of a source. Playlist formats are not among the local ones, or
# a file called video.mp4 could name others for ffmpeg to read.
_PROTOCOLS = {
    "": "file",
    "http": "http,https,httpproxy,tcp,tls,crypto",
    "https": "http,https,httpproxy,tcp,tls,crypto",
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,srtp,udp,tcp,tls,crypto",
}
_LOCAL_FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,ogg,wav,mp3,flac,aac,mjpeg,m4v,h264,hevc,asf,gif,ivf,w64,aiff"


def read_image(path: Path) -> Picture:
    """The picture as (H, W, 3) uint8 RGB in sRGB, upright, transparency over grey.

    Its size is checked before anything is decoded. Raises StudioError for a file that is missing, empty,
    truncated, damaged, of an unknown format, over 64 MB or over 50 megapixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = path.name
    try:
        size = path.stat().st_size
        if size == 0:
            raise StudioError(f"{name} is empty; give a JPEG, PNG or WebP picture.")
        if size > MAX_IMAGE_BYTES:
            raise StudioError(
                f"{name} has {size >> 20} MB, more than {MAX_IMAGE_BYTES >> 20} MB; use a smaller picture."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large and odd pictures; the checks below refuse them
            with Image.open(path, formats=IMAGE_FORMATS) as image:
                if image.width * image.height > MAX_IMAGE_PIXELS:
                    raise StudioError(_too_many_pixels(name, f"{image.width}x{image.height}"))
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError:
        raise StudioError(_too_many_pixels(name, "far too many")) from None
    except FileNotFoundError:
        raise StudioError(f"There is no file {path}.") from None
    except UnidentifiedImageError:
        raise StudioError(f"{name} is not a picture that can be read; give a JPEG, PNG or WebP file.") from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        # SyntaxError is what Pillow's PNG reader raises for broken chunks.
        raise StudioError(f"{name} is truncated or damaged ({_short(error)}); save it again and retry.") from None


def _to_rgb(image: "Image.Image") -> Picture:
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bit grey: Pillow would clip it instead of scaling
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    image = _in_srgb(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        backdrop = Image.new("RGBA", rgba.size, (BACKDROP, BACKDROP, BACKDROP, 255))
        image = Image.alpha_composite(backdrop, rgba)
    return np.array(image.convert("RGB"), np.uint8)


def _in_srgb(image: "Image.Image") -> "Image.Image":
    """Phones save Display P3; taken as sRGB its skin would be pale."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA"):
        return image
    try:
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), target) or image
    except (ImageCms.PyCMSError, OSError):
        return image  # a broken profile says nothing; the pixels still do


def _too_many_pixels(name: str, size: str) -> str:
    return f"{name} has {size} pixels, more than {MAX_IMAGE_PIXELS // 1_000_000} megapixels; use a smaller picture."


def open_container(source: Source) -> av.container.InputContainer:
    """Open a local file or an rtsp, rtsps, http or https address for reading.

    Opening and every read give up after 10 s. Raises StudioError when it cannot be opened or is something
    else, such as a playlist that would make ffmpeg open further files.
    """
    scheme = urlsplit(source).scheme.lower() if isinstance(source, str) and "://" in source else ""
    if scheme not in _PROTOCOLS:
        raise StudioError(
            f"'{scheme}://' sources are not supported; use a file, or an rtsp, rtsps, http or https address."
        )
    options = {"protocol_whitelist": _PROTOCOLS[scheme]}
    if scheme:
        address = str(source)
        options |= {"rtsp_transport": "tcp", "reconnect": "0"} if scheme.startswith("rtsp") else {"reconnect": "0"}
    else:
        path = Path(source)
        address = str(path.absolute())  # a leading slash: nothing in the name can be taken for a protocol
        options["format_whitelist"] = _LOCAL_FORMATS
        if not path.is_file():
            raise StudioError(f"There is no file {path}.")
        if path.stat().st_size == 0:
            raise StudioError(f"{path.name} is empty; give a video or sound file.")
    try:
        return av.open(address, options=options, timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise StudioError(
            f"{label(source)} cannot be opened ({_short(error)}); check that it plays elsewhere."
        ) from None


def label(source: Source) -> str:
    """How a source is called in a message: its file name, or its address without user, password and query."""
    if isinstance(source, str) and "://" in source:
        parts = urlsplit(source)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
    return Path(source).name


def video_of(container: av.container.InputContainer) -> av.VideoStream | None:
    """The moving pictures of a file, None where there are none: the cover of a song is not one."""
    covers = av.stream.Disposition.attached_pic
    return next((each for each in container.streams.video if not each.disposition & covers), None)


def has_pictures(source: Source) -> bool:
    """Whether a file has moving pictures; one with sound alone is a voice. Raises StudioError when it has neither, or
    cannot be opened."""
    with open_container(source) as container:
        if video_of(container) is not None:
            return True
        if not container.streams.audio:
            raise StudioError(f"{label(source)} has neither pictures nor sound; give a video or sound file.")
        return False


class VideoReader:
    """The pictures of a video, upright, one after the other. Not thread-safe.

    max_side: pictures are scaled down so that neither side is longer.
    width, height: pixels after rotation and scaling. Pictures of another size in mid-stream are fitted to it.
    fps: average frames a second. duration: seconds, 0.0 where unknown (a live source).
    Raises StudioError when there is no picture to be had.
    """

    def __init__(self, source: Source, max_side: int | None = None) -> None:
        self.name = label(source)
        self._container = open_container(source)
        try:
            self._stream = self._video_stream()
            self._frames = self._decode()
            self._first: av.VideoFrame | None = next(self._frames, None)
            if self._first is None:
                raise StudioError(f"{self.name} holds no picture that can be read; check that it plays elsewhere.")
            self._measure(self._first, max_side)
        except BaseException:
            self._container.close()
            raise

    def _video_stream(self) -> av.VideoStream:
        stream = video_of(self._container)
        if stream is None:
            raise StudioError(f"{self.name} has no picture in it; give a video file.")
        if stream.codec_context.width * stream.codec_context.height > MAX_VIDEO_PIXELS:
            raise StudioError(f"{self.name} has {stream.width}x{stream.height} pixels; use a video of 8K or less.")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 2
        return stream

    def _measure(self, frame: av.VideoFrame, max_side: int | None) -> None:
        stream = self._stream
        width, height = frame.width, frame.height
        aspect = stream.sample_aspect_ratio
        if aspect and aspect != 1 and 0.1 < aspect < 10:  # anamorphic: square pixels from here on
            width = max(1, round(width * float(aspect)))
        scale = min(1.0, max_side / max(width, height)) if max_side else 1.0
        self._size = max(2, round(width * scale)), max(2, round(height * scale))  # before rotation
        self.width, self.height = self._size if _turns(frame) % 2 == 0 else self._size[::-1]
        self.fps = Fraction(stream.average_rate or stream.guessed_rate or 25)
        known = self._container.duration
        self.duration = known / 1_000_000 if known and known > 0 else 0.0
        self.has_audio = bool(self._container.streams.audio)

    def _decode(self) -> Iterator[av.VideoFrame]:
        try:
            yield from self._container.decode(self._stream)
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as error:
            raise StudioError(
                f"{self.name} cannot be read any further ({_short(error)}); check that it plays elsewhere."
            ) from None

    def __iter__(self) -> Iterator[tuple[int, Picture]]:
        """(pts in microseconds, (height, width, 3) uint8 RGB) of each picture, pts from 0 and rising.

        Raises StudioError naming the file when it breaks off in the middle.
        """
        first, self._first = self._first, None
        start: int | None = None
        last = -1
        step = int(1_000_000 / self.fps)
        if first is not None:
            start, last = _pts(first) or 0, 0
            yield 0, self._rgb(first)
        for frame in self._frames:
            pts = _pts(frame)
            start = start if start is not None else (pts or 0)
            # A picture without a time stamp, or one that goes back, follows the last at the usual distance.
            last = pts - start if pts is not None and pts - start > last else last + step
            yield last, self._rgb(frame)

    def _rgb(self, frame: av.VideoFrame) -> Picture:
        width, height = self._size
        same = (frame.width, frame.height) == self._size
        how = av.video.reformatter.Interpolation.BILINEAR if same else av.video.reformatter.Interpolation.AREA
        rgb = np.asarray(frame.reformat(width, height, "rgb24", interpolation=how).to_ndarray(), np.uint8)
        turns = _turns(frame)
        return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()


def _turns(frame: av.VideoFrame) -> int:
    """Quarter turns counter-clockwise that the file's display matrix asks for."""
    return round(frame.rotation / 90) % 4


def _pts(frame: av.VideoFrame | av.AudioFrame) -> int | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return int(frame.pts * frame.time_base * 1_000_000)


def read_sound(source: Source) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """(pts in microseconds, (n,) int16 mono at 48 kHz) of each block of sound, pts on the file's own clock.

    Nothing for a file without sound. Raises StudioError when it cannot be opened or breaks off.
    """
    with open_container(source) as container:
        if not container.streams.audio:
            return
        origin = (container.start_time or 0) if container.start_time and container.start_time > 0 else 0
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SOUND_RATE)
        next_pts = 0
        try:
            for frame in container.decode(container.streams.audio[0]):
                for block in resampler.resample(frame):
                    samples = np.asarray(block.to_ndarray().reshape(-1), np.int16)
                    pts = _pts(block)
                    next_pts = next_pts if pts is None else pts - origin
                    yield next_pts, samples
                    next_pts += len(samples) * 1_000_000 // SOUND_RATE
            for block in resampler.resample(None):
                yield next_pts, np.asarray(block.to_ndarray().reshape(-1), np.int16)
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as error:
            raise StudioError(f"The sound of {label(source)} cannot be read any further ({_short(error)}).") from None


def _short(error: BaseException) -> str:
    """An error's own words without the path and number that ffmpeg adds."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0].strip(" .")[:120]
