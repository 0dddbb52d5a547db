"""Puts a driver's sound to a rendered picture without touching either's timing."""

import os
from pathlib import Path

import av
import av.error

from shared.errors import StudioError
from shared.media import label, open_container, video_of
from shared.mp4 import COMMENT, SOUND_RATE

# What players expect in an MP4; anything else is made AAC.
COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
BIT_RATE = 192_000


def mux_sound(picture: Path, driver: Path, out: Path) -> None:
    """Write `out` with the picture of one file and the sound of the other. Sound in a codec that MP4 carries is copied
    packet by packet; no picture is decoded. `out` appears whole or not at all. Raises StudioError."""
    part = out.with_name(out.name + ".part")
    try:
        with (
            open_container(picture) as video,
            open_container(driver) as source,
            av.open(str(part.absolute()), "w", format="mp4", options={"movflags": "+faststart"}) as target,
        ):
            target.metadata["comment"] = COMMENT
            _mux(video, source, target)
        os.replace(part, out)
    except (av.error.FFmpegError, OSError) as error:
        raise StudioError(f"{out} cannot be written with the sound of {label(driver)} ({error.strerror}).") from None
    finally:
        part.unlink(missing_ok=True)


def _mux(
    video: av.container.InputContainer, source: av.container.InputContainer, target: av.container.OutputContainer
) -> None:
    pictures = target.add_stream_from_template(video.streams.video[0])
    heard = source.streams.audio[0]
    sound = target.add_stream_from_template(heard) if heard.codec_context.name in COPIED else _aac(target, heard)
    for packet in video.demux(video.streams.video[0]):
        if packet.dts is not None:
            packet.stream = pictures
            target.mux(packet)
    # The picture starts at 0, whatever its time was in the driver; the sound keeps its distance to it, or starts there
    # too where it is all there is.
    first = video_of(source) or heard
    shift = int((first.start_time or 0) * (first.time_base or 0) / (heard.time_base or 1))
    if heard.codec_context.name in COPIED:
        for block in source.demux(heard):
            if block.dts is not None and block.pts is not None:
                block.pts, block.dts = block.pts - shift, block.dts - shift
                block.stream = sound
                target.mux(block)
        return
    for frame in source.decode(heard):
        frame.pts = frame.pts - shift if frame.pts is not None else None
        target.mux(sound.encode(frame))
    target.mux(sound.encode(None))


def _aac(target: av.container.OutputContainer, heard: av.AudioStream) -> av.AudioStream:
    # Rate and layout are made what AAC has: a WAV may have any rate, and often does not say which channels it has.
    layout = "mono" if heard.codec_context.channels == 1 else "stereo"
    sound = target.add_stream("aac", rate=SOUND_RATE, layout=layout)
    assert isinstance(sound, av.AudioStream)
    sound.bit_rate = BIT_RATE
    return sound
