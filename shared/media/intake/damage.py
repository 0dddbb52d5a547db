"""Reads on past damaged parts of a file, as players do, and counts what was lost."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import av
import av.error

from shared.runtime.clock import US

if TYPE_CHECKING:
    Packet = av.Packet[Any]
    Frame = av.VideoFrame | av.AudioFrame

MOST_GAPS_IN_A_ROW = 64  # consecutive unreadable places in a container after which reading stops
MOST_STAMPS = 200_000
USUAL_SOUND_US = 20_000  # assumed duration of a sound packet that states none


@dataclass(slots=True)
class Damage:
    """The parts of a file that could not be read.

    sound_us: microseconds of lost sound. gaps: number of damaged places in the container. stamps: pts of each frame
    that could not be decoded, microseconds on the file's own clock.
    """

    sound_us: int = 0
    gaps: int = 0
    stamps: list[int] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Number of frames that could not be decoded."""
        return len(self.stamps)

    def frames_between(self, begin: int | None, end: int | None) -> int:
        """Return the number of damaged frames after `begin` and up to `end` (microseconds, None for no bound)."""
        return sum((begin is None or at > begin) and (end is None or at <= end) for at in self.stamps)

    def clear(self) -> None:
        """Reset the counts, for reading the file again from the beginning."""
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
        """Return the sentence about the damage of the file of this name; "" if nothing was lost."""
        return damage_sentence(name, self.frames, self.sound_us, self.gaps)


def damage_sentence(name: str, frames: int, sound_us: int, gaps: int = 0) -> str:
    """Return the sentence for a file of which these parts were lost; "" if nothing was lost."""
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
    """Yield the packets of these streams in the order of the container, reading on past damaged parts.

    Raises av.error.FFmpegError or OSError if the source itself becomes unavailable.
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
            return  # PyAV raises IndexError at the end of a file in which another track begins later


def decoded(packet: "Packet", damage: Damage, decoder: av.VideoCodecContext | None = None) -> "list[Frame]":
    """Return the frames that a packet completes; for a damaged packet none, and the packet is counted in `damage`.

    decoder: the decoder to use, None for the stream's own.
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
