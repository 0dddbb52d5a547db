"""Reading on after what is damaged, as every player does, and counting what was lost."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import av
import av.error

from shared.runtime.clock import US

if TYPE_CHECKING:
    Packet = av.Packet[Any]
    Frame = av.VideoFrame | av.AudioFrame

MOST_GAPS_IN_A_ROW = 64  # places in a row where a container cannot be read, after which there is nothing more to come
MOST_STAMPS = 200_000
USUAL_SOUND_US = 20_000  # of a packet of sound whose length is not known


@dataclass(slots=True)
class Damage:
    """What could not be read.

    sound_us: microseconds of sound. gaps: places where the container itself is damaged. stamps: when each frame would
    be shown that could not be decoded, microseconds on the file's own clock.
    """

    sound_us: int = 0
    gaps: int = 0
    stamps: list[int] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Frames that could not be decoded."""
        return len(self.stamps)

    def frames_between(self, begin: int | None, end: int | None) -> int:
        """Damaged frames after `begin` up to `end`, microseconds; None: no bound."""
        return sum((begin is None or at > begin) and (end is None or at <= end) for at in self.stamps)

    def clear(self) -> None:
        """Reset the counts: the file is read again from the beginning."""
        self.sound_us = self.gaps = 0
        self.stamps.clear()

    def add(self, packet: "Packet") -> None:
        """Count a packet that could not be decoded."""
        base = packet.time_base or 0
        if isinstance(packet.stream, av.VideoStream):
            stamp = packet.pts if packet.pts is not None else packet.dts
            last = self.stamps[-1] if self.stamps else 0
            if len(self.stamps) < MOST_STAMPS:
                self.stamps.append(int(stamp * base * US) if stamp is not None else last)
        else:
            self.sound_us += int((packet.duration or 0) * base * US) or USUAL_SOUND_US

    def sentence(self, name: str) -> str:
        """What to say of the file of this name; "" where nothing was lost."""
        return damage_sentence(name, self.frames, self.sound_us, self.gaps)


def damage_sentence(name: str, frames: int, sound_us: int, gaps: int = 0) -> str:
    """What to say of a file of which this was lost; "" where nothing was."""
    lost = []
    if frames:
        lost.append(f"{frames:,} of its frames")
    if sound_us:
        lost.append(f"{max(0.1, sound_us / US):.1f} s of its sound")
    if lost:
        return f"{name} is damaged: {' and '.join(lost)} could not be read and are left out."
    return f"{name} is damaged: {gaps} of its parts could not be read and are left out." if gaps else ""


def packets(
    container: av.container.InputContainer, streams: "list[av.VideoStream | av.AudioStream]", damage: Damage
) -> "Iterator[Packet]":
    """The packets of these streams as they lie in a container, reading on after what is damaged.

    Raises av.error.FFmpegError or OSError where the source itself is gone.
    """
    in_a_row = 0
    while True:
        try:
            for packet in container.demux(*streams):
                in_a_row = 0
                yield packet
            return
        except av.error.EOFError:
            return
        except av.error.InvalidDataError:
            damage.gaps += 1
            in_a_row += 1
            if in_a_row > MOST_GAPS_IN_A_ROW:
                return
        except IndexError:
            return  # PyAV raises it at the end of a file in which another track begins midway


def decoded(packet: "Packet", damage: Damage, decoder: av.VideoCodecContext | None = None) -> "list[Frame]":
    """The frames that a packet completes; none, and counted, where it is damaged.

    decoder: None for the stream's own.
    """
    try:
        frames = packet.decode() if decoder is None else decoder.decode(packet)
        return [each for each in frames if isinstance(each, av.VideoFrame | av.AudioFrame)]
    except av.error.EOFError:
        return []
    except (av.error.FFmpegError, ValueError):
        if packet.size:
            damage.add(packet)
        return []
