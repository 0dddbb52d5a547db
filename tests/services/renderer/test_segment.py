"""One segment: a file that is complete or absent, identical every time, and independent of other segments."""

import shutil
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from services.renderer.encode.segment import SegmentWriter, verify_segment
from shared.errors import StudioError
from shared.media.colour import rgb_to_i420
from shared.media.encoder import choose_encoder
from shared.media.mp4 import Mp4Writer
from shared.media.output_spec import CODECS, OutputSpec
from tests.support.files.media_material import NTSC, decoded, moving, packets, segment

COUNT = 9


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_frames_make_the_same_packets(tmp_path: Path, codec: str) -> None:
    output = OutputSpec.from_dict({"codec": codec, "encoder": {"h264": "libx264", "hevc": "libx265"}.get(codec)})
    frames = moving(COUNT)
    a, b = (segment(tmp_path / f"{name}{output.suffix}", frames, output=output) for name in "ab")
    assert packets(a, "video") == packets(b, "video")
    verify_segment(a, COUNT)
    stamps, _ = decoded(a)
    assert stamps == pytest.approx([number / NTSC for number in range(COUNT)], abs=0.0005)
    if output.suffix != ".webm":  # WebM counts milliseconds
        assert stamps == [number / NTSC for number in range(COUNT)]


@pytest.mark.parametrize("codec, times", [("h264", 12), ("hevc", 3), ("prores", 2), ("vp9", 2)])
def test_large_busy_frames_make_the_same_packets_wherever_memory_is(tmp_path: Path, codec: str, times: int) -> None:
    """x264's fastest code rounds differently at other memory addresses, unless that is switched off."""
    output = OutputSpec.from_dict({"codec": codec, "encoder": {"h264": "libx264", "hevc": "libx265"}.get(codec)})
    random, width, height = np.random.default_rng(5), 720, 1080
    coarse = random.integers(0, 127, (height // 16, width // 16), np.uint8)
    still = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    frames = np.full((10, height * 3 // 2, width), 128, np.uint8)
    for number, frame in enumerate(frames):
        grain = random.integers(0, 6, (height, width), np.uint8)
        frame[:height] = np.roll(still, (3 * number, 2 * number), (0, 1)) + grain + 60
    made = set()
    for attempt in range(times):
        elsewhere = [np.zeros(size, np.uint8) for size in np.random.default_rng().integers(1, 2_000_000, 5)]
        path = tmp_path / f"{attempt}{output.suffix}"
        with SegmentWriter(path, width, height, NTSC, output) as writer:
            for number, frame in enumerate(frames):
                writer.frame(number, frame.copy())
        made.add(tuple(packets(path, "video")))
        del elsewhere
    assert len(made) == 1


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_segment_of_any_length_begins_with_a_key_frame_and_refers_to_nothing_else(tmp_path: Path, codec: str) -> None:
    output = OutputSpec.from_dict({"codec": codec})
    for count in (1, 1, 1, 1, 1, 1, 2, 2, 3, 5, 70):
        path = segment(tmp_path / f"{count}.mp4", moving(count), output=output)
        verify_segment(path, count)
        with av.open(str(path)) as container:
            found = [packet for packet in container.demux(video=0) if packet.size]
        assert found[0].is_keyframe and len(found) == count
        if codec == "hevc":  # HEVC's encoder alone would leave the times of a short segment to chance
            assert [p.dts for p in found] == [(number - 2) * 1001 for number in range(count)]


@pytest.mark.parametrize(
    "codec, tag, names",
    [("h264", "avc1", "h264"), ("hevc", "hvc1", "hevc"), ("prores", "apch", "prores"), ("vp9", None, "vp9")],
)
@pytest.mark.parametrize("size, matrix", [((160, 96), 6), ((1280, 720), 1)])
def test_what_a_file_says_of_itself_is_true(
    tmp_path: Path, codec: str, tag: str | None, names: str, size: tuple[int, int], matrix: int
) -> None:
    """The codec and colour tags are correct, and colours decoded by these tags are those that were encoded."""
    output = OutputSpec.from_dict({"codec": codec})
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    colours = np.array([(200, 30, 30), (30, 180, 40), (40, 40, 210), (220, 180, 150), (128, 128, 128)], np.uint8)
    for bar, colour in enumerate(np.array_split(np.arange(size[0]), len(colours))):
        rgb[:, colour] = colours[bar]
    path = segment(tmp_path / f"a{output.suffix}", [rgb_to_i420(rgb)] * 2, output=output)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert context.name == names and (tag is None or context.codec_tag == tag)
        assert (context.color_range, context.colorspace, context.color_primaries, context.color_trc) == (
            1,
            *[matrix] * 3,
        )
        assert {key.lower(): value for key, value in container.metadata.items()}["comment"] == "AI-generated"
        assert stream.average_rate == NTSC
        frame = next(container.decode(stream))
    seen = frame.reformat(format="rgb24", src_colorspace=5 if matrix == 6 else 1, src_color_range=1).to_ndarray()
    middles = [int(bar.mean()) for bar in np.array_split(np.arange(size[0]), len(colours))]
    assert np.abs(seen[size[1] // 2, middles].astype(int) - colours).max() <= 9


def test_a_plate_of_another_shape_is_whole_between_bars(tmp_path: Path) -> None:
    rgb = np.full((96, 160, 3), 200, np.uint8)
    rgb[:4], rgb[-4:] = (250, 20, 20), (20, 20, 250)
    path = segment(tmp_path / "a.mp4", [rgb_to_i420(rgb)], output=OutputSpec(size=(320, 320)))
    with av.open(str(path)) as container:
        seen = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert seen.shape == (320, 320, 3)
    assert seen[:60].max() < 12 and seen[-60:].max() < 12, "black bars"
    assert seen[68, 160, 0] > 150 > seen[68, 160, 2] and seen[251, 160, 2] > 150 > seen[251, 160, 0]
    assert abs(seen[160, 5].mean() - 200) < 4 and abs(seen[160, 315].mean() - 200) < 4


def test_the_matte_is_the_alpha(tmp_path: Path) -> None:
    """The alpha is decoded by libvpx, because FFmpeg's own decoder ignores it."""
    matte = np.zeros((96, 160), np.uint8)
    matte[20:70, 40:120] = 255
    output = OutputSpec("vp9", size=(320, 256))
    path = tmp_path / "a.webm"
    with SegmentWriter(path, 160, 96, NTSC, output) as writer:
        for number, pixels in enumerate(moving(3)):
            writer.frame(number, pixels, matte)
    decoder = av.CodecContext.create("libvpx-vp9", "r")
    with av.open(str(path)) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"
        frames = [frame for packet in container.demux(video=0) for frame in decoder.decode(packet)]
    assert len(frames) == 3 and frames[0].format.name == "yuva420p"
    for frame in frames:
        plane = frame.planes[3]
        alpha = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width].astype(int)
        assert alpha.shape == (256, 320)
        assert alpha[:28].max() < 12, "bars are transparent"
        assert alpha[32 + 50 : 32 + 130, 90:230].min() > 240 and alpha[120, :70].max() < 12


def test_frames_come_in_order_and_fit() -> None:
    with pytest.raises(ValueError, match="even"):
        SegmentWriter(Path("a.mp4"), 161, 96, NTSC, OutputSpec())


def test_a_frame_left_out_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    frames = moving(2)
    with (
        pytest.raises(ValueError, match="frame 1 comes next"),
        SegmentWriter(tmp_path / "a.mp4", 160, 96, NTSC, OutputSpec()) as writer,
    ):
        writer.frame(0, frames[0])
        assert not (tmp_path / "a.mp4").exists()
        writer.frame(2, frames[1])
    assert not list(tmp_path.iterdir())


def test_an_encoder_that_is_not_here_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="libx264"):
        choose_encoder("h264", "mpeg2video")
    try:
        choose_encoder("h264", "h264_nvenc")
    except StudioError as error:
        assert "h264_nvenc does not open on this machine; render with libx264" in str(error)
        assert choose_encoder("h264").name == "libx264"
    else:
        assert choose_encoder("h264").name == "h264_nvenc"
        verify_segment(segment(tmp_path / "a.mp4", moving(9, 320, 256), output=OutputSpec()), 9)


def test_a_finished_segment_is_proved(tmp_path: Path) -> None:
    path = segment(tmp_path / "a.mp4", moving(70))
    verify_segment(path, 70)
    with pytest.raises(StudioError, match=r"a\.mp4 has 70 frames instead of 71; it must be rendered again"):
        verify_segment(path, 71)


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_a_damaged_segment_is_found(tmp_path: Path, codec: str) -> None:
    output = OutputSpec.from_dict({"codec": codec})
    whole = segment(tmp_path / f"a{output.suffix}", moving(70), output=output).read_bytes()
    path = tmp_path / f"b{output.suffix}"
    path.write_bytes(whole)
    verify_segment(path, 70)
    for cut in (0, 500, len(whole) // 2, len(whole) - 2000):
        path.write_bytes(whole[:cut])
        with pytest.raises(StudioError):
            verify_segment(path, 70)
    if codec == "h264":  # a VP9 decoder accepts any data
        begin = whole.index(b"mdat") + 60
        path.write_bytes(whole[:begin] + bytes(3000) + whole[begin + 3000 :])
        with pytest.raises(StudioError, match="frame"):
            verify_segment(path, 70)


def test_a_segment_with_a_gap_is_found(tmp_path: Path) -> None:
    with Mp4Writer(tmp_path / "gap.mp4", 160, 96, NTSC, sound=False) as writer:
        for number, frame in enumerate(moving(9)):
            writer.frame(frame, index=number + (number > 4))
    with pytest.raises(StudioError, match="uneven time stamps"):
        verify_segment(tmp_path / "gap.mp4", 9)


FULL = """
import sys
from pathlib import Path
from services.renderer.encode.concat import assemble
from shared.errors import NoSpaceError
from shared.media.output_spec import OutputSpec
from tests.support.files.media_material import NTSC, moving, segment
folder, parts = Path(sys.argv[1]), Path(sys.argv[2])
frames = moving(40)
segment(parts / "a.mp4", frames)
size = (parts / "a.mp4").stat().st_size
full = whole = 0
for room in range(0, 3 * size, size // 5):
    for make in (
        lambda: segment(folder / "b.mp4", frames),
        lambda: assemble([parts / "a.mp4"], None, folder / "b.mp4", OutputSpec(), NTSC),
    ):
        with (folder / "ballast").open("wb") as ballast:
            ballast.write(bytes((256 << 10) - room))
        try:
            make()
            whole += 1
        except NoSpaceError as error:
            assert "The disk is full" in str(error), error
            assert [p.name for p in folder.iterdir()] == ["ballast"], list(folder.iterdir())
            full += 1
        (folder / "b.mp4").unlink(missing_ok=True)
assert full >= 8 and whole >= 4, (full, whole)
print("told", full, whole)
"""


def test_a_full_disk_differs_from_other_failures_and_leaves_nothing(tmp_path: Path) -> None:
    """A real disk of 256 KB in memory is filled more and more, so that writing fails at every stage."""
    disk, parts = tmp_path / "disk", tmp_path / "parts"
    disk.mkdir()
    parts.mkdir()
    mounted = f'mount -t tmpfs -o size=256k none "{disk}" && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mounted, "sh", sys.executable, "-c", FULL, str(disk), str(parts)]
    if shutil.which("unshare") is None or subprocess.run([*command[:-5], "true"], capture_output=True).returncode:
        pytest.skip("this machine does not allow a disk to be mounted")
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0 and done.stdout.startswith("told"), done.stderr[-2000:]
