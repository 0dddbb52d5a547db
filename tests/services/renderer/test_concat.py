"""Segments joined into one file: the same frames, one tick each, and the driver's own sound at its own time."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from services.renderer.encode.concat import assemble
from shared.errors import StudioError
from shared.media.output_spec import CODECS, OutputSpec
from tests.support.files.media_material import NTSC, chirp, decoded, moving, packets, segment, write_driver
from tests.support.files.sound_files import wav

CUTS = (0, 17, 18, 40)  # one of the segments has a single frame


def parts_of(folder: Path, output: OutputSpec, rate: Fraction = NTSC, cuts: tuple[int, ...] = CUTS) -> list[Path]:
    frames = moving(cuts[-1])
    return [
        segment(folder / f"part-{a}{output.suffix}", frames[a:b], rate, output) for a, b in itertools.pairwise(cuts)
    ]


def heard(path: Path) -> tuple[float, np.ndarray]:
    """Return (start of the sound in seconds, its samples at 48 kHz), decoded from the file as a player does."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000)
    begin, blocks = None, []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            begin = frame.time if begin is None else begin
            blocks += [block.to_ndarray()[0] for block in resampler.resample(frame)]
    return begin or 0.0, np.concatenate(blocks)


def delay(begin: float, sound: np.ndarray, wanted: np.ndarray) -> float:
    """Return by how many seconds `sound`, beginning at `begin`, is later than `wanted`, beginning at 0."""
    size = 1 << 17
    line = np.zeros(size)
    at = round(begin * 48_000)
    if at < 0:
        sound, at = sound[-at:], 0
    line[at : at + len(sound)] = sound[: size - at]
    spectrum = np.fft.rfft(line) * np.conj(np.fft.rfft(wanted.astype(float), size))
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    return (lag - size if lag > size // 2 else lag) / 48_000


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("rate", [Fraction(25), NTSC])
def test_the_frames_are_those_of_the_segments_one_tick_each(tmp_path: Path, codec: str, rate: Fraction) -> None:
    output = OutputSpec.from_dict({"codec": codec})
    parts = parts_of(tmp_path, output, rate)
    out = tmp_path / f"out{output.suffix}"
    assert assemble(parts, None, out, output, rate, {"avatar": "host", "engine": "mesh"}) == 40
    stamps, hashes = decoded(out)
    assert hashes == [each for part in parts for each in decoded(part)[1]]
    if output.suffix == ".webm":  # WebM counts milliseconds
        assert stamps == pytest.approx([n / rate for n in range(40)], abs=0.0006)
    else:
        assert stamps == [n / rate for n in range(40)]
    with av.open(str(out)) as container, av.open(str(parts[0])) as part:
        stream, first = container.streams.video[0], part.streams.video[0]
        assert stream.average_rate == rate and stream.codec_context.codec_tag == first.codec_context.codec_tag
        assert stream.codec_context.colorspace == first.codec_context.colorspace == 6
        assert (container.duration or 0) / 1e6 == pytest.approx(40 / rate, abs=0.001)
        said = {key.lower(): value for key, value in container.metadata.items()}
        assert said["comment"].startswith("AI-generated")
        assert "avatar: host; engine: mesh" in said.get("description", said["comment"])
        if stream.duration is not None and stream.time_base is not None:
            assert stream.duration * stream.time_base == 40 / rate
    data = out.read_bytes()
    index, media = (b"moov", b"mdat") if codec != "vp9" else (b"\x1c\x53\xbb\x6b", b"\x1f\x43\xb6\x75")
    assert data.index(index) < data.index(media), "the index comes first"


@pytest.mark.parametrize("begin", [0.0, 0.2])
def test_aac_is_copied_packet_by_packet(tmp_path: Path, begin: float) -> None:
    driver = write_driver(tmp_path / "driver.mp4", frames=25, sound=0.7, sound_begin=begin)
    out = tmp_path / "out.mp4"
    assemble(parts_of(tmp_path, OutputSpec(), Fraction(25)), driver, out, OutputSpec(), Fraction(25))
    before, after = packets(driver, "audio"), packets(out, "audio")
    assert [data for _, data in before] == [data for _, data in after]
    assert [float(t) for t, _ in after] == pytest.approx([float(t) for t, _ in before], abs=1e-4)
    assert np.array_equal(heard(driver)[1], heard(out)[1])


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4", ".mov"])
def test_sound_keeps_its_distance_to_the_first_frame(tmp_path: Path, suffix: str) -> None:
    """The distance is kept whatever the file's clock starts at, and where B-frames make its video begin late."""
    driver = write_driver(tmp_path / f"driver{suffix}", frames=25, sound=0.9, sound_begin=0.3, video_begin=0.12)
    out = tmp_path / "out.mp4"
    assemble(parts_of(tmp_path, OutputSpec(), Fraction(25)), driver, out, OutputSpec(), Fraction(25))
    assert [data for _, data in packets(out, "audio")] or pytest.fail("no sound")
    assert delay(*heard(out), chirp(0.9, 48_000)) == pytest.approx(0.18, abs=0.025)
    assert decoded(out)[0][0] == 0


def test_sound_before_the_first_frame_is_left_out_and_the_rest_is_in_time(tmp_path: Path) -> None:
    driver = write_driver(tmp_path / "driver.mkv", frames=25, sound=1.6, video_begin=0.6)
    out = tmp_path / "out.mp4"
    assemble(parts_of(tmp_path, OutputSpec(), Fraction(25)), driver, out, OutputSpec(), Fraction(25))
    begin, sound = heard(out)
    wanted = chirp(1.6, 48_000)[round(0.6 * 48_000) :]
    assert delay(begin, sound, wanted) == pytest.approx(0.0, abs=0.025)
    assert begin >= -0.07


@pytest.mark.parametrize("output", [OutputSpec(), OutputSpec("vp9")])
@pytest.mark.parametrize("kind", ["mp3", "pcm", "opus"])
def test_other_sound_is_encoded_in_its_own_time(tmp_path: Path, output: OutputSpec, kind: str) -> None:
    suffix, codec = {"mp3": (".mkv", "mp3"), "pcm": (".mkv", "pcm_s16le"), "opus": (".webm", "libopus")}[kind]
    video = "libvpx-vp9" if suffix == ".webm" else "libx264"
    rate = 44_100 if kind == "mp3" else 48_000
    driver = write_driver(tmp_path / f"driver{suffix}", frames=25, sound=0.9, codec=codec, sound_rate=rate, video=video)
    out = tmp_path / f"out{output.suffix}"
    assemble(parts_of(tmp_path, output, Fraction(25)), driver, out, output, Fraction(25))
    with av.open(str(out)) as container:
        assert (
            container.streams.audio[0].codec_context.name
            in {".mp4": ("aac",), ".webm": ("opus", "libopus")}[output.suffix]
        )
    assert delay(*heard(out), chirp(0.9, 48_000)) == pytest.approx(0.0, abs=0.03)
    if kind == "opus" and output.suffix == ".webm":
        assert [data for _, data in packets(out, "audio")] == [data for _, data in packets(driver, "audio")]


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
@pytest.mark.parametrize("seconds", [0.5, 5.0])
def test_long_sound_ends_with_the_video_and_short_sound_stays_short(tmp_path: Path, codec: str, seconds: float) -> None:
    driver = write_driver(tmp_path / "driver.mkv", frames=25, sound=seconds, codec=codec)
    out = tmp_path / "out.mp4"
    assemble(parts_of(tmp_path, OutputSpec(), Fraction(25)), driver, out, OutputSpec(), Fraction(25))
    begin, sound = heard(out)
    assert begin + len(sound) / 48_000 == pytest.approx(min(seconds, 40 / 25), abs=2 * 1024 / 48_000)
    assert len(decoded(out)[0]) == 40


def test_a_voice_alone_in_stereo_at_any_rate_is_heard(tmp_path: Path) -> None:
    voice = tmp_path / "voice.wav"
    samples = chirp(1.2, 22_050)
    voice.write_bytes(wav(np.repeat(samples, 2), 22_050, channels=2))
    out = tmp_path / "out.mp4"
    assemble(parts_of(tmp_path, OutputSpec(), Fraction(25)), voice, out, OutputSpec(), Fraction(25))
    with av.open(str(out)) as container:
        assert container.streams.audio[0].codec_context.channels == 2
    assert delay(*heard(out), chirp(1.2, 48_000)) == pytest.approx(0.0, abs=0.03)


def test_video_and_sound_lie_side_by_side_in_the_file(tmp_path: Path) -> None:
    """Video and sound are interleaved: a player that streams the file needs that and need not hold either in memory."""
    driver = write_driver(tmp_path / "driver.mp4", frames=25, sound=25.0)
    out = tmp_path / "out.mp4"
    parts = parts_of(tmp_path, OutputSpec(), Fraction(25)) * 15  # 24 s: FFmpeg itself interleaves within 10 s
    assemble(parts, driver, out, OutputSpec(), Fraction(25))
    with av.open(str(out)) as container:
        places = sorted((p.pos or 0, float((p.dts or 0) * p.time_base)) for p in container.demux() if p.size)
    times = [t for _, t in places]
    assert max(abs(a - b) for a, b in zip(times, sorted(times), strict=True)) < 1.1


def test_segments_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    small, large = moving(3), moving(3, 192, 96)
    a, b = segment(tmp_path / "a.mp4", small), segment(tmp_path / "b.mp4", large)
    c = segment(tmp_path / "c.mp4", small, output=OutputSpec("hevc"))
    for other in (b, c):
        with pytest.raises(StudioError, match=f"{other.name} was encoded differently from a.mp4"):
            assemble([a, other], None, tmp_path / "out.mp4", OutputSpec(), NTSC)
    assert not (tmp_path / "out.mp4").exists()


def test_a_damaged_segment_or_driver_leaves_no_file(tmp_path: Path) -> None:
    a, b = (segment(tmp_path / name, moving(40)) for name in ("a.mp4", "b.mp4"))
    b.write_bytes(b.read_bytes()[:-3000])
    with pytest.raises(StudioError, match=r"b\.mp4"):
        assemble([a, b], None, tmp_path / "out.mp4", OutputSpec(), NTSC)
    with pytest.raises(StudioError, match=r"out\.mov should end in \.mp4"):
        assemble([a], None, tmp_path / "out.mov", OutputSpec(), NTSC)
    with pytest.raises(StudioError, match="There is no file"):
        assemble([a], tmp_path / "gone.mp4", tmp_path / "out.mp4", OutputSpec(), NTSC)
    with pytest.raises(StudioError, match="cannot be written"):
        assemble([a], None, tmp_path / "none" / "out.mp4", OutputSpec(), NTSC)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]
