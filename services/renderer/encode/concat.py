"""Concatenation of finished segments and the driver's sound to one file, without decoding any frame."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from services.renderer.encode.driver_sound import DriverSound, seconds
from services.renderer.encode.segment import timing_options
from shared.errors import StudioError
from shared.media.container import MediaFile
from shared.media.intake.damage import Damage
from shared.media.output_spec import FORMATS, OutputSpec
from shared.media.reader import open_container, sound_of, video_of
from shared.runtime.clock import US


def assemble(
    parts: Sequence[Path],
    driver: Path | None,
    out: Path,
    output: OutputSpec,
    rate: Fraction,
    facts: Mapping[str, str] | None = None,
    damage: Damage | None = None,
) -> int:
    """Write `out` from the segments in the given order; returns the number of its frames.

    Each frame lasts exactly one tick of `rate`. driver: file whose sound is added, None for a silent file; sound is cut
    at the end of the frames. facts: added to the file's metadata, which also says that it is AI-generated. damage:
    counts what cannot be decoded of the sound. `out` appears complete or not at all. Apart from the file's index,
    memory does not grow with the length. Raises StudioError; NoSpaceError when the disk is full.
    """
    output.check_path(out)
    if not parts:
        raise StudioError(f"There are no segments to assemble {out.name} from.")
    delay, count = _survey(parts, rate)
    options = timing_options(output, rate)
    options |= {"cues_to_front": "1"} if output.suffix == ".webm" else {"movflags": "+faststart"}
    with MediaFile(out, FORMATS[output.suffix], options) as file:
        if facts:
            said = "; ".join(f"{name}: {fact}" for name, fact in facts.items())
            if output.suffix == ".mov":  # QuickTime files have no description field
                file.container.metadata["comment"] += f"; {said}"
            else:
                file.container.metadata["description"] = said
        with open_container(parts[0]) as first:
            frames = file.container.add_stream_from_template(first.streams.video[0])
            frames.time_base = 1 / rate
            frames.codec_context.codec_tag = first.streams.video[0].codec_context.codec_tag
        sound = _sound(driver, file, output.suffix, count / rate, damage if damage is not None else Damage())
        try:
            streams = [_joined(parts, frames, rate, delay, count), sound.packets() if sound else iter(())]
            for packet in heapq.merge(*streams, key=seconds):
                with file.writing():
                    file.container.mux(packet)
        finally:
            if sound:
                sound.close()
    return count


def _sound(driver: Path | None, file: MediaFile, suffix: str, end: Fraction, damage: Damage) -> DriverSound | None:
    if driver is None:
        return None
    with open_container(driver) as source:
        if sound_of(source) is None:
            return None
    return DriverSound(driver, file.container, suffix, end, damage)


def _survey(parts: Sequence[Path], rate: Fraction) -> tuple[int, int]:
    """Return by how many ticks decoding times precede presentation times, and the number of frames.

    Raises StudioError when a segment's codec parameters differ from the first one's, as their packets cannot be joined.
    """
    delay = count = 0
    kind: tuple[object, ...] = ()
    for part in parts:
        with open_container(part) as container:
            stream = video_of(container)
            packet = next((p for p in container.demux(stream) if p.size), None) if stream else None
            if stream is None or packet is None or packet.pts != 0 or not packet.is_keyframe:
                raise StudioError(f"{part.name} is not a finished segment; it must be rendered again.")
            codec = stream.codec_context
            this = codec.name, codec.codec_tag, codec.width, codec.height, codec.pix_fmt, codec.extradata
            if kind and this != kind:
                raise StudioError(
                    f"{part.name} was encoded differently from {parts[0].name}; render one of them again."
                )
            kind = this
            delay = max(delay, -round((packet.dts or 0) * packet.time_base * rate))
            count += round((container.duration or 0) * rate / US)
    return delay, count


def _joined(
    parts: Sequence[Path], frames: av.VideoStream, rate: Fraction, delay: int, expected: int
) -> "Iterator[av.Packet[Any]]":
    """Yield the packets of all segments with consecutive time stamps, one tick each."""
    done = 0
    for part in parts:
        with open_container(part) as container:
            count, last = 0, -1
            try:
                for packet in container.demux(container.streams.video[0]):
                    if not packet.size or packet.pts is None:
                        continue
                    tick = round(packet.pts * packet.time_base * rate)
                    last = max(last, tick)
                    packet.time_base = 1 / rate
                    packet.pts, packet.dts, packet.duration = done + tick, done + count - delay, 1
                    packet.stream = frames
                    count += 1
                    yield packet
            except (av.error.FFmpegError, OSError):
                count = -1
            if count != last + 1:
                raise StudioError(f"{part.name} is damaged; it must be rendered again.")
        done += count
    if done != expected:
        raise StudioError(f"The segments hold {done} frames instead of {expected}; render them again.")
