"""The file formats of docs/files.md: read completely and in time, in one go and as a driver on air alike."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest

from services.capture.demux import DriverFrame, DriverSoundBlock, read_driver
from shared.errors import StudioError
from shared.media.intake.damage import Damage, packets
from shared.media.intake.stamps import RisingStamps, stated_rate
from shared.media.reader import VideoReader, has_video, read_sound
from shared.media.timeline import read_timeline
from shared.runtime.clock import SOUND_RATE_HZ, US
from tests.support.files.media_material import write_driver

FRAMES, SECONDS = 25, 1.0
WINDOWS_SOUND: dict[str, Any] = {"codec": "wmav2", "sound_rate": 44_100, "sound_options": {"b": "128000"}}
VORBIS: dict[str, Any] = {"codec": "vorbis", "layout": "stereo", "sound_options": {"strict": "-2"}}
FILMS: dict[str, dict[str, Any]] = {
    "a.mxf": {"video": "mpeg2video", "codec": "pcm_s16le", "options": {"bf": "2"}},
    "a.wmv": {"video": "wmv2"} | WINDOWS_SOUND,
    "mjpeg.avi": {"video": "mjpeg", "codec": "pcm_s16le", "pixels": "yuvj420p"},
    "xvid.avi": {"video": "mpeg4", "codec": "libmp3lame", "options": {"bf": "2"}},
    "a.flv": {"video": "flv1", "codec": "libmp3lame", "sound_rate": 44_100},
    "a.vob": {"video": "mpeg2video", "codec": "mp2"},
    "a.ts": {"video": "libx264", "options": {"bf": "3"}},
    "a.mts": {"video": "libx264", "codec": "ac3"},
    "a.webm": {"video": "libvpx", "codec": "libopus"},
    "a.mkv": {"video": "libx264"} | VORBIS,
    "bframes.mp4": {"video": "libx264", "options": {"bf": "3"}},
}
RAW = {"a.h264": "libx264", "a.m4v": "mpeg4", "a.m2v": "mpeg2video", "a.ivf": "libvpx"}
SOUNDS: dict[str, dict[str, Any]] = {
    "a.wma": WINDOWS_SOUND,
    "a.eac3": {"codec": "eac3"},
    "a.w64": {"codec": "pcm_s16le"},
    "a.aiff": {"codec": "pcm_s16be"},
    "a.au": {"codec": "pcm_s16be"},
    "a.caf": {"codec": "alac"},
    "a.amr": {"codec": "libopencore_amrnb", "sound_rate": 8_000},
    "a.wv": {"codec": "wavpack"},
    "opus.webm": {"codec": "libopus"},
    "vorbis.ogg": VORBIS,
}


def live(path: Path, motion: bool) -> tuple[list[DriverFrame], list[DriverSoundBlock]]:
    items = list(read_driver(path, motion=motion, damage=Damage()))
    return [i for i in items if isinstance(i, DriverFrame)], [i for i in items if isinstance(i, DriverSoundBlock)]


@pytest.mark.parametrize("name", FILMS)
def test_a_film_is_whole_and_in_time(tmp_path: Path, name: str) -> None:
    path = write_driver(tmp_path / name, frames=FRAMES, sound=SECONDS, **FILMS[name])
    with VideoReader(path) as reader:
        assert [pts for pts, _ in reader] == pytest.approx([n * US / 25 for n in range(FRAMES)], abs=1_000)
        assert reader.fps == 25 and not reader.damage.frames
    assert sum(len(samples) for _, samples in read_sound(path)) / SOUND_RATE_HZ == pytest.approx(SECONDS, abs=0.07)
    assert (read_timeline(path).ticks, read_timeline(path).rate) == (FRAMES, Fraction(25))
    frames, sounds = live(path, motion=True)
    assert len(frames) == FRAMES and frames[-1].pts - frames[0].pts == pytest.approx((FRAMES - 1) * US / 25, abs=1_000)
    assert sum(len(each.samples) for each in sounds) / SOUND_RATE_HZ == pytest.approx(SECONDS, abs=0.07)


@pytest.mark.parametrize("name", RAW)
def test_frames_without_time_stamps_follow_each_other(tmp_path: Path, name: str) -> None:
    path = write_driver(tmp_path / name, frames=FRAMES, video=RAW[name])
    with VideoReader(path) as reader:
        assert [pts for pts, _ in reader] == [n * US // 25 for n in range(FRAMES)]
    assert read_timeline(path).ticks == FRAMES
    assert [each.pts for each in live(path, motion=True)[0]] == [n * US // 25 for n in range(FRAMES)]


@pytest.mark.parametrize("name", SOUNDS)
def test_sound_alone_is_whole(tmp_path: Path, name: str) -> None:
    path = write_driver(tmp_path / name, sound=SECONDS, **SOUNDS[name])
    assert not has_video(path)
    heard = np.concatenate([samples for _, samples in read_sound(path)])
    assert len(heard) / SOUND_RATE_HZ == pytest.approx(SECONDS, abs=0.07) and np.abs(heard).max() > 6_000
    assert sum(len(each.samples) for each in live(path, motion=False)[1]) == len(heard)


def test_a_stream_that_has_run_for_days_begins_at_nought(tmp_path: Path) -> None:
    path = write_driver(tmp_path / "a.ts", frames=FRAMES, sound=SECONDS, video_begin=90_000.0, sound_begin=90_000.0)
    with VideoReader(path) as reader:
        assert [pts for pts, _ in reader][:: FRAMES - 1] == [0, (FRAMES - 1) * US // 25]
    frames, sounds = live(path, motion=True)
    assert max(frames[0].pts, sounds[0].pts) < US // 10 and read_timeline(path).ticks == FRAMES


def test_what_has_data_alone_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_data_stream("bin_data")
        stream.time_base = Fraction(1, 1000)
        container.start_encoding()
        packet = av.Packet(b"hello")
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 1000)
        container.mux(packet)
    with pytest.raises(StudioError, match=r"a\.ts has neither video nor sound; give a video or sound file"):
        has_video(path)


def test_a_track_that_begins_on_the_way_ends_nothing() -> None:
    class GrowingFile:
        """Fails as PyAV does at the end of a file that has one track more than at its beginning."""

        def demux(self, *streams: object) -> Iterator[str]:
            yield "packet"
            raise IndexError("list index out of range")

    damage = Damage()
    assert len(list(packets(cast(av.container.InputContainer, GrowingFile()), [], damage))) == 1 and not damage.gaps


def test_stamps_rise_whatever_a_file_says() -> None:
    stamps = RisingStamps(Fraction(25))
    assert not stamps.begun
    said = [0, 40_000, None, None, 50_000, 200_000, 10, None]
    assert [stamps.next(each) for each in said] == [0, 40_000, 80_000, 120_000, 160_000, 200_000, 240_000, 280_000]


def test_the_rate_of_a_files_clock_is_none_of_its_frames() -> None:
    class DvStream:
        average_rate, guessed_rate = Fraction(60_000), Fraction(25)  # what PyAV reports for DV

    assert stated_rate(cast(av.VideoStream, DvStream())) == 25
