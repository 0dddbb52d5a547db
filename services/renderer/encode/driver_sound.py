"""A driver's sound for a rendered file: its packets are copied if the file's format permits, and never re-timed."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from shared.errors import StudioError
from shared.media.aac_blocks import SoundBlocks
from shared.media.intake.damage import Damage, decoded, packets
from shared.media.intake.downmix import Downmix
from shared.media.reader import open_container, sound_of, source_title, video_of
from shared.runtime.clock import SOUND_RATE_HZ

if TYPE_CHECKING:
    Packet = av.Packet[Any]

# By kind of file: the codec whose packets are copied, and the encoder for all other sound.
CODECS = {".mp4": ("aac", "aac"), ".mov": ("aac", "aac"), ".webm": ("opus", "libopus")}
SOUND_BITS_PER_S = 192_000
# A decoder needs the packets just before the first audible sound, so this much of them is included.
LEAD_IN_S = Fraction(50, 1000)


class DriverSound:
    """Packets of a driver's sound for a file whose frames begin at 0. The caller closes it.

    copied: whether the driver's own packets are used. Methods and constructor raise StudioError.
    """

    def __init__(
        self, driver: Path, target: av.container.OutputContainer, suffix: str, end: Fraction, damage: Damage
    ) -> None:
        """Add a stream to `target`.

        suffix: the file's suffix, such as ".mp4". end: seconds; later packets are left out. damage: counts what cannot
            be decoded.
        """
        self._name, self._damage = source_title(driver), damage
        self._origin = first_pts(driver)
        self._end = end
        self._source = open_container(driver)
        self._heard = _sound_track(self._source)
        codec, encoder = CODECS[suffix]
        # Sound with more than two channels is mixed down, as players make speech in the centre channel too quiet.
        # Damaged sound is encoded again, so that the damage is not copied.
        self.copied = (
            self._heard.codec_context.name == codec and self._heard.codec_context.channels <= 2 and _is_whole(driver)
        )
        # WebM allows times before 0 only for the codec's own pre-roll.
        self._begin = -LEAD_IN_S if suffix != ".webm" else Fraction(-10, 1000)
        self.stream = target.add_stream_from_template(self._heard) if self.copied else self._encoded(target, encoder)

    def _encoded(self, target: av.container.OutputContainer, encoder: str) -> av.AudioStream:
        # Convert to a rate and layout that the codec supports: a WAV may have any rate, and often does not state its
        # channel layout.
        layout = "mono" if self._heard.codec_context.channels == 1 else "stereo"
        stream = target.add_stream(encoder, rate=SOUND_RATE_HZ, layout=layout)
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = SOUND_BITS_PER_S
        return stream

    def packets(self) -> "Iterator[Packet]":
        """Yield packets for the target's stream in order of time; time 0 is that of the driver's first frame."""
        try:
            yield from self._copies() if self.copied else self._encodes()
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as error:
            raise StudioError(
                f"The sound of {self._name} cannot be read any further ({error.strerror}); check that it plays "
                "elsewhere."
            ) from None

    def _copies(self) -> "Iterator[Packet]":
        base = self._heard.time_base or Fraction(1, SOUND_RATE_HZ)
        shift = round(self._origin / base)
        for packet in packets(self._source, [self._heard], self._damage):
            if packet.pts is None or packet.dts is None:
                continue
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            if packet.pts * base >= self._end:
                return
            if (packet.pts + (packet.duration or 0)) * base > self._begin:
                packet.stream = self.stream
                yield packet

    def _encodes(self) -> "Iterator[Packet]":
        channels = self.stream.codec_context.channels
        left = round(self._end * SOUND_RATE_HZ)
        blocks = SoundBlocks(channels)
        mix = Downmix("mono" if channels == 1 else "stereo")
        at: Fraction | None = None
        for frame in self._frames():
            if frame.pts is not None and frame.time_base is not None:
                at = frame.pts * frame.time_base - self._origin
            for _, samples in mix.blocks(frame):
                begin = round((at or Fraction(0)) * SOUND_RATE_HZ)
                samples = samples[: max(0, left - begin)]
                if begin < 0:
                    samples, begin = samples[-begin:], 0
                for first, joined in blocks.add(samples, begin):
                    yield from self._encode(joined, first)
                at = Fraction(begin + len(samples), SOUND_RATE_HZ)
            if at is not None and at >= self._end:
                break
        if rest := blocks.last_block():
            yield from self._encode(rest[1], rest[0])
        yield from self.stream.encode(None)

    def _frames(self) -> Iterator[av.AudioFrame]:
        for packet in packets(self._source, [self._heard], self._damage):
            yield from (each for each in decoded(packet, self._damage) if isinstance(each, av.AudioFrame))

    def _encode(self, samples: "np.ndarray[tuple[int, ...], np.dtype[np.int16]]", at: int) -> "list[Packet]":
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.reshape(1, -1)), format="s16", layout=self.stream.codec_context.layout
        )
        frame.sample_rate = SOUND_RATE_HZ
        frame.pts, frame.time_base = at, Fraction(1, SOUND_RATE_HZ)
        return self.stream.encode(frame)

    def close(self) -> None:
        """Close the driver's file."""
        self._source.close()


def first_pts(driver: Path) -> Fraction:
    """Return the time of the driver's first frame, in seconds on the file's own clock; it is the render's time 0.

    For a driver without frames it is the time of the first sound. Raises StudioError.
    """
    with open_container(driver) as container:
        stream = video_of(container) or _sound_track(container)
        damage = Damage()
        try:
            for packet in packets(container, [stream], damage):
                for frame in decoded(packet, damage):
                    pts, base = frame.pts, frame.time_base
                    if pts is not None and base is not None:
                        return pts * base
        except (av.error.FFmpegError, OSError):
            pass  # the error is reported when the packets are read
        return Fraction((stream.start_time or 0) * (stream.time_base or 0))


def _sound_track(container: av.container.InputContainer) -> av.AudioStream:
    stream = sound_of(container)
    assert stream is not None, "whether there is sound was looked at"
    return stream


def _is_whole(driver: Path) -> bool:
    """Whether all of the sound can be decoded, without gaps."""
    damage = Damage()
    with open_container(driver) as container:
        for packet in packets(container, [_sound_track(container)], damage):
            decoded(packet, damage)
            if damage.sound_us or damage.gaps:
                return False
    return True


def seconds(packet: "Packet") -> float:
    """Return a packet's decoding time in seconds."""
    return (packet.dts or 0) * float(packet.time_base)
