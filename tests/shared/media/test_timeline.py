"""A driver's timeline, and its frames, which are the same when read from the middle as from the beginning."""

import hashlib
import struct
import time
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from shared.errors import StudioError
from shared.media.reader import VideoReader
from shared.media.timeline import read_timeline, shown_frames, tick_limit
from tests.support.files.media_material import moving, write_driver
from tests.support.files.sound_files import wav

COUNT = 60
NTSC = Fraction(30000, 1001)
OPEN_GOP = {"x264-params": "open-gop=1"}
HEVC_OPEN = {"x265-params": "log-level=error:open-gop=1"}
# name: (file, codec, options, whether reading from the middle may seek in the file)
KINDS: dict[str, tuple[str, str, dict[str, str], bool]] = {
    "B-frames": ("a.mp4", "libx264", {}, True),
    "open GOP": ("a.mp4", "libx264", OPEN_GOP, True),
    "HEVC, open GOP": ("a.mp4", "libx265", HEVC_OPEN, True),
    "fragments": ("a.mp4", "libx264", {"movflags": "+frag_keyframe+empty_moov"}, True),
    "Matroska": ("a.mkv", "libx264", OPEN_GOP, True),
    "VP8, hidden frames": ("a.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16"}, True),
    "VP9": ("a.webm", "libvpx-vp9", {"cpu-used": "8", "lag-in-frames": "16"}, True),
    "transport stream": ("a.ts", "libx264", OPEN_GOP, True),
    "MPEG-2": ("a.ts", "mpeg2video", {"bf": "2"}, True),
    "gradual refresh": ("a.ts", "libx264", {"x264-params": "intra-refresh=1"}, False),
    "AVI": ("a.avi", "mpeg4", {"bf": "2"}, False),
    "H.264 in AVI": ("a.avi", "libx264", {}, False),
    "no container": ("a.h264", "libx264", {}, False),
}


def write(
    path: Path,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    rate: Fraction = Fraction(25),
    stamps: list[int] | None = None,
    base: Fraction | None = None,
    count: int = COUNT,
) -> Path:
    """Write a video of frames that all differ, in groups of 10. stamps: the frames' times, in `base` seconds."""
    options = dict(options or {})
    flags = {"movflags": options.pop("movflags")} if "movflags" in options else {}
    with av.open(str(path), "w", options=flags) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.gop_size = 10
        stream.codec_context.time_base = base = base or 1 / rate
        for number, pixels in enumerate(moving(count)):
            frame = av.VideoFrame.from_ndarray(pixels, format="yuv420p")
            frame.pts, frame.time_base = stamps[number] if stamps else number, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def uneven(count: int, seed: int = 1) -> list[int]:
    """Return stamps in milliseconds like a phone's in poor light: about 25 a second, with a pause now and then."""
    steps = np.random.default_rng(seed).integers(33, 48, count)
    steps[::13] = 200
    return list(map(int, np.cumsum(steps)))


def turned(path: Path) -> Path:
    """Turn the video by its display matrix, as a phone held upright does."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 96 << 16, 0, 1 << 30)
    path.write_bytes(data)
    return path


def trimmed(path: Path, first: int, count: int) -> Path:
    """Trim the video by its edit list alone, as some editors do: the frames before and after stay in the file."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    _, media_time = struct.unpack(">ii", data[at : at + 8])
    data[at : at + 8] = struct.pack(">ii", count * 40, media_time + first * 512)
    path.write_bytes(data)
    return path


def read(path: Path, start: int = 0, most: int = 10**9) -> list[tuple[int, str]]:
    with VideoReader(path, start=start) as reader:
        return [
            (pts, hashlib.sha256(rgb.tobytes()).hexdigest()) for (pts, rgb), _ in zip(reader, range(most), strict=False)
        ]


def check_every_start(path: Path) -> None:
    whole = read(path)
    for number in (0, 1, 2, 9, 10, 11, 17, 20, 29, 30, 45, len(whole) - 2, len(whole) - 1):
        for start in (whole[number][0], whole[number][0] + 7_000):
            assert read(path, start, 12) == whole[number : number + 12], (number, start)
    assert read(path, whole[30][0] - 1, 2) == whole[29:31], "the one that is still shown"
    assert read(path, 10**9) == whole[-1:]


@pytest.mark.parametrize("kind", KINDS)
def test_reading_from_the_middle_is_exact(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, codec, options, seeks = KINDS[kind]
    found = []
    sought = VideoReader._sought

    def spied(self: VideoReader, start: int, back: int) -> object:
        found.append(answer := sought(self, start, back))
        return answer

    monkeypatch.setattr(VideoReader, "_sought", spied)
    path = write(tmp_path / name, codec, options, count=120)
    check_every_start(path)
    assert any(found) == seeks, "by seeking where that is exact, and only there"


def test_reading_from_the_middle_is_exact_with_uneven_stamps_turns_and_late_starts(tmp_path: Path) -> None:
    check_every_start(write(tmp_path / "a.mp4", stamps=uneven(COUNT), base=Fraction(1, 1000)))
    check_every_start(turned(write(tmp_path / "b.mp4")))
    check_every_start(write(tmp_path / "c.mp4", stamps=[n + 75 for n in range(COUNT)]))
    check_every_start(write(tmp_path / "d.ts", stamps=[n + 75 for n in range(COUNT)]))


def test_an_edit_list_is_kept_to(tmp_path: Path) -> None:
    whole = [pixels for _, pixels in read(write(tmp_path / "a.mp4"))]
    path = trimmed(write(tmp_path / "b.mp4"), 7, 50)
    assert [pixels for _, pixels in read(path)][:50] == whole[7:57]
    check_every_start(path)
    timeline = read_timeline(path)
    assert (timeline.rate, timeline.ticks, timeline.variable) == (Fraction(25), 50, False)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize(
    "rate", [Fraction(24000, 1001), Fraction(25), NTSC, Fraction(30), Fraction(60), Fraction(23), Fraction(25, 2)]
)
def test_a_constant_rate_is_kept_exactly(tmp_path: Path, name: str, rate: Fraction) -> None:
    timeline = read_timeline(write(tmp_path / name, options={"preset": "ultrafast"}, rate=rate))
    assert (timeline.rate, timeline.ticks, timeline.variable) == (rate, COUNT, False)
    assert timeline.duration == COUNT / rate
    assert timeline.shown(0, COUNT).tolist() == list(range(COUNT))


def test_an_uneven_rate_becomes_the_nearest_usual_one_and_the_length_stays(tmp_path: Path) -> None:
    stamps = uneven(COUNT)
    timeline = read_timeline(write(tmp_path / "a.mp4", stamps=stamps, base=Fraction(1, 1000)))
    assert (timeline.rate, timeline.variable, timeline.kind) == (Fraction(25), True, "motion")
    seconds = (stamps[-1] - stamps[0]) / 1000
    assert abs(timeline.ticks / timeline.rate - seconds) <= 2 / 25
    at = (np.array(stamps) - stamps[0]) / 1000
    for tick, number in enumerate(timeline.shown(0, timeline.ticks).tolist()):
        assert number == np.flatnonzero(at <= (tick + 0.5) / 25 + 1e-6)[-1], "no frame more than half a tick early"


@pytest.mark.parametrize("rate", [None, Fraction(50), Fraction(12), NTSC])
def test_the_frames_of_ticks_do_not_depend_on_how_they_are_cut(tmp_path: Path, rate: Fraction | None) -> None:
    path = write(tmp_path / "a.mp4", options=OPEN_GOP, stamps=uneven(COUNT), base=Fraction(1, 1000))
    timeline = read_timeline(path, rate)

    def shown(begin: int, end: int) -> list[tuple[int, str, bool]]:
        return [
            (pts, hashlib.sha256(rgb.tobytes()).hexdigest(), new)
            for pts, rgb, new in shown_frames(path, timeline.rate, begin, end)
        ]

    whole = shown(0, timeline.ticks)
    cuts = [0, 1, 13, 14, timeline.ticks // 2, timeline.ticks - 1, timeline.ticks]
    assert [each for a, b in pairwise(cuts) for each in shown(a, b)] == whole
    numbers = timeline.shown(0, timeline.ticks)
    assert [new for *_, new in whole] == [True, *(np.diff(numbers) > 0).tolist()]
    pixels = [each for _, each in read(path)]
    assert [each for _, each, _ in whole] == [pixels[number] for number in numbers]
    assert [pts for pts, *_ in whole] == [int(k * 1_000_000 / timeline.rate) for k in range(timeline.ticks)]


def test_half_a_tick_late_is_not_late() -> None:
    assert tick_limit(0, Fraction(25)) == 20_000 and tick_limit(-1, Fraction(25)) < 0
    assert tick_limit(100, NTSC) == int(100.5 * 1_000_000 * 1001 / 30000)


def test_a_still_image_is_a_timeline(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", count=1)
    timeline = read_timeline(path)
    assert (timeline.rate, timeline.ticks) == (Fraction(25), 1)
    assert [new for *_, new in shown_frames(path, timeline.rate, 0, 1)] == [True]
    assert len(list(shown_frames(path, timeline.rate, 3, 5))) == 2, "after its end the last frame stays"


def test_frames_of_odd_sides_are_read(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 161, 97, "yuv444p"
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((3, 97, 161), number * 9, np.uint8), format="yuv444p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    check = [rgb.shape for _, rgb, _ in shown_frames(tmp_path / "a.mkv", Fraction(25), 6, 12)]
    assert check == [(97, 161, 3)] * 6


@pytest.mark.parametrize("seconds", [0.03, 1.0, 7.616])
def test_a_voice_has_the_ticks_of_its_sound(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(np.zeros(round(seconds * 16_000), np.int16), 16_000))
    for rate in (None, NTSC):
        timeline = read_timeline(path, rate)
        assert timeline.kind == "voice" and timeline.rate == (rate or 25) and timeline.has_sound
        assert timeline.ticks == max(1, round(seconds * timeline.rate))
    song = write_driver(tmp_path / "a.m4a", sound=seconds)
    assert abs(read_timeline(song).ticks - seconds * 25) <= 2


def test_sound_that_is_longer_than_the_frames_counts(tmp_path: Path) -> None:
    timeline = read_timeline(write_driver(tmp_path / "a.mp4", frames=20, sound=3.0))
    assert (timeline.has_sound, timeline.kind) == (True, "motion") and abs(timeline.ticks - 75) <= 1
    assert "2.2 s longer than its frames" in " ".join(timeline.notes)
    same = read_timeline(
        write_driver(tmp_path / "b.mp4", frames=20, sound=0.85)
    )  # the end of the encoder's last block is padding, not speech
    assert (same.ticks, same.notes) == (20, ())


def test_sound_before_the_first_frame_is_a_note(tmp_path: Path) -> None:
    timeline = read_timeline(write_driver(tmp_path / "a.mkv", frames=50, sound=2.0, video_begin=1.0))
    assert "begins 1.0 s before its first frame" in " ".join(timeline.notes)


def many(path: Path, count: int) -> Path:
    """Write `count` frames without the time to encode them: one key frame again and again."""
    one = write(path.with_name("one.mp4"), options={"bf": "0"}, count=1)
    with av.open(str(one)) as source, av.open(str(path), "w") as container:
        (packet,) = (p for p in source.demux(video=0) if p.size)
        stream = container.add_stream_from_template(source.streams.video[0])
        data = bytes(packet)
        for number in range(count):
            copy = av.Packet(data)
            copy.pts = copy.dts = number
            copy.duration, copy.time_base, copy.stream, copy.is_keyframe = 1, Fraction(1, 25), stream, True
            container.mux(copy)
    return path


def test_hours_are_measured_and_entered_without_decoding_all_of_it(tmp_path: Path) -> None:
    """Measuring three hours and reading near their end takes less than half the time of decoding them."""
    path = many(tmp_path / "long.mp4", 270_000)
    begin = time.process_time()
    with av.open(str(path)) as container:
        assert sum(1 for _ in islice(container.decode(video=0), 2_700)) == 2_700
    decoding, begin = 100 * (time.process_time() - begin), time.process_time()
    timeline = read_timeline(path)
    assert (timeline.rate, timeline.ticks, len(timeline.pts)) == (Fraction(25), 270_000, 270_000)
    ticks = [pts for pts, *_ in shown_frames(path, timeline.rate, 260_000, 260_050)]
    assert ticks[0] == 260_000 * 40_000 and len(ticks) == 50
    assert time.process_time() - begin < decoding / 2, "by the processor's time for it in this very run"


@pytest.mark.parametrize(
    "name, content, words",
    [("empty.mp4", b"", "is empty"), ("text.mp4", b"hello" * 999, "is a text file"), ("gone.mp4", None, "no file")],
)
def test_a_driver_that_is_none_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StudioError, match=words) as caught:
        read_timeline(tmp_path / name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_a_driver_of_no_length_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "silent.wav").write_bytes(wav(np.zeros(0, np.int16), 16_000))
    with pytest.raises(StudioError, match=r"silent\.wav"):
        read_timeline(tmp_path / "silent.wav")
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        container.start_encoding()
    with pytest.raises(StudioError, match=r"none\.mkv"):
        read_timeline(tmp_path / "none.mkv")


@pytest.mark.parametrize("keep", [0.3, 0.7])
def test_a_driver_that_breaks_off_is_used_as_far_as_it_goes(tmp_path: Path, keep: float) -> None:
    path = write(tmp_path / "cut.mp4", options={"movflags": "+faststart", "crf": "10"}, count=250)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    timeline = read_timeline(path)
    assert abs(timeline.ticks - 250 * keep) < 40 and " ends after" in " ".join(timeline.notes)
    path.write_bytes(data[: len(data) // 100])
    with pytest.raises(StudioError, match=r"cut\.mp4"):
        read_timeline(path)


def test_more_than_8k_and_more_than_a_day_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "long.mkv", stamps=[0, 1, 30 * 3600 * 25], count=3)
    with pytest.raises(StudioError, match=r"long\.mkv lasts 30 hours, more than 24; cut it into parts"):
        read_timeline(path)
    with av.open(str(tmp_path / "large.avi"), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16_384, 16, "gray"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16_384), np.uint8), format="gray")))
        container.mux(stream.encode(None))
    data = bytearray((tmp_path / "large.avi").read_bytes())
    at = data.index(b"strf") + 8 + 8
    data[at : at + 4] = struct.pack("<i", 4320)  # the header now claims 16384 x 4320
    (tmp_path / "large.avi").write_bytes(data)
    with pytest.raises(StudioError, match=r"large\.avi has 16384x4320 pixels; use a video of 8K or less"):
        read_timeline(tmp_path / "large.avi")
