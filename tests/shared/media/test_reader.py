"""Reading and writing media: bounded, upright, in sync, and one sentence for what cannot be read."""

import os
import signal
import socket
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.errors import StudioError
from shared.media import reader as reading
from shared.media.colour import i420_to_rgb, rgb_to_i420
from shared.media.mp4 import Mp4Writer
from shared.media.reader import VideoReader, open_container, read_sound
from shared.media.still import read_image
from shared.runtime.clock import SOUND_RATE_HZ
from tests.support.files.image_files import jpeg, png_header, turn


def scene(width: int = 160, height: int = 96) -> NDArray[np.uint8]:
    """Return an image with red on the left, blue on the right and a white bar on top: any turn or mirroring shows."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:, : width // 2, 0] = rgb[:, width // 2 :, 2] = 200
    rgb[: height // 6] = 255
    return rgb


def write_video(path: Path, count: int = 20, sound: bool = False, **how: object) -> Path:
    with Mp4Writer(path, 160, 96, Fraction(25), sound=sound, **how) as writer:  # type: ignore[arg-type]
        for number in range(count):
            rgb = scene()
            rgb[40:60, 10 + number : 20 + number] = 255
            writer.frame(rgb_to_i420(rgb), index=number)
            if sound:
                tone = np.sin(2 * np.pi * 440 * np.arange(1920) / SOUND_RATE_HZ) * 8000
                writer.sound(tone.astype(np.int16), pts=number * 40_000)
    return path


# Frames


def test_an_image_is_read_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise
    lying = np.rot90(scene(), 1)
    Image.fromarray(np.ascontiguousarray(lying)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), scene())


def test_transparency_becomes_grey(tmp_path: Path) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:4] = (255, 0, 0, 255)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    rgb = read_image(tmp_path / "a.png")
    assert (rgb[:4] == (255, 0, 0)).all() and (rgb[4:] == 128).all()


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "I;16"])
def test_other_kinds_of_image_become_rgb(tmp_path: Path, mode: str) -> None:
    grey = np.full((8, 8), 200, np.uint8)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    image.save(tmp_path / "a.tif")
    rgb = read_image(tmp_path / "a.tif")
    assert rgb.shape == (8, 8, 3) and (mode == "1" or abs(float(rgb.mean()) - 200) < 4)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.jpg", b"", "is empty"),
        ("text.jpg", b"hello" * 99, "not an image that can be read"),
        ("half.jpg", jpeg()[: len(jpeg()) // 2], "truncated"),
        ("half.png", png_header(64, 64), "truncated"),
        ("bomb.png", png_header(20_000, 20_000), "megapixels"),
        ("huge.png", png_header(60_000, 60_000), "far too many pixels"),
    ],
)
def test_a_bad_image_is_one_sentence(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(StudioError, match=says) as caught:
        read_image(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_image_and_a_folder_are_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(StudioError):
            read_image(path)


def test_an_image_of_too_many_bytes_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(257 << 20)
    with pytest.raises(StudioError, match="257 MB"):
        read_image(tmp_path / "large.png")


# Video


def test_a_video_comes_back_as_it_was_written(tmp_path: Path) -> None:
    with VideoReader(write_video(tmp_path / "a.mp4", sound=True)) as reader:
        assert (reader.width, reader.height, reader.fps, reader.has_audio) == (160, 96, Fraction(25), True)
        frames = list(reader)
    assert [pts for pts, _ in frames] == [n * 40_000 for n in range(20)]
    wanted = scene()
    wanted[40:60, 29:39] = 255
    assert cv2.PSNR(frames[19][1], i420_to_rgb(rgb_to_i420(wanted))) > 33


def test_a_turned_video_is_read_upright(tmp_path: Path) -> None:
    with VideoReader(turn(write_video(tmp_path / "a.mp4"))) as reader:
        assert (reader.width, reader.height) == (96, 160)
        rgb = next(iter(reader))[1]
    assert rgb.shape == (160, 96, 3)
    assert rgb[30, 20, 0] > 150 > rgb[30, 20, 2], "red, once left, is now on top"
    assert rgb[130, 20, 2] > 150 > rgb[130, 20, 0]
    assert rgb[80, 92].min() > 200, "the bar, once on top, is now on the right"


def test_a_video_is_scaled_to_the_side_asked_for(tmp_path: Path) -> None:
    with VideoReader(write_video(tmp_path / "a.mp4"), max_side=80) as reader:
        assert (reader.width, reader.height) == (80, 48) and next(iter(reader))[1].shape == (48, 80, 3)


def test_uneven_time_stamps_are_kept(tmp_path: Path) -> None:
    stamps = [0, 33_000, 100_000, 110_000, 500_000]
    with Mp4Writer(tmp_path / "a.mp4", 160, 96, Fraction(30000, 1001), sound=False) as writer:
        for pts in stamps:
            writer.frame(rgb_to_i420(scene()), pts=pts)
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert np.abs(np.array([pts for pts, _ in reader]) - stamps).max() < 100


def test_a_video_broken_in_the_middle_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "broken.mp4", count=60)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) * 2 // 3])  # the index comes first, so that it opens
    with VideoReader(path) as reader:
        assert 20 < sum(1 for _ in reader) < 60


@pytest.mark.parametrize(("name", "data"), [("empty.mp4", b""), ("text.mp4", b"hello" * 999), ("half.mp4", None)])
def test_a_bad_video_is_one_sentence(tmp_path: Path, name: str, data: bytes | None) -> None:
    path = tmp_path / name
    path.write_bytes(data if data is not None else write_video(tmp_path / "a.mp4").read_bytes()[:300])
    with pytest.raises(StudioError, match=name) as caught:
        VideoReader(path)
    assert "\n" not in str(caught.value)


def test_a_sound_file_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), "s16", "mono")
        frame.sample_rate = 48_000
        out.mux(stream.encode(frame))
    with pytest.raises(StudioError, match="no video"):
        VideoReader(tmp_path / "a.wav")


@pytest.mark.parametrize("source", ["ftp://host/a.mp4", "concat://a|b", "file:///etc/passwd", "data://x"])
def test_other_protocols_are_refused(source: str) -> None:
    with pytest.raises(StudioError, match="not supported"):
        open_container(source)


def test_a_playlist_cannot_make_us_open_other_files(tmp_path: Path) -> None:
    target = write_video(tmp_path / "secret.mp4")
    (tmp_path / "a.mp4").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n", encoding="utf-8"
    )
    (tmp_path / "b.mp4").write_text(f"ffconcat version 1.0\nfile '{target.name}'\n", encoding="utf-8")
    for name in ("a.mp4", "b.mp4"):
        with pytest.raises(StudioError):
            VideoReader(tmp_path / name)


def test_an_address_is_named_without_its_password() -> None:
    with pytest.raises(StudioError) as caught:
        open_container("http://user:secret@127.0.0.1:9/a.mp4?token=secret")
    assert "secret" not in str(caught.value) and "127.0.0.1" in str(caught.value)


# Sound


@pytest.mark.parametrize("fragmented", [False, True])
def test_sound_comes_back_in_sync(tmp_path: Path, fragmented: bool) -> None:
    with Mp4Writer(tmp_path / "a.mp4", 160, 96, Fraction(25), sound=True, fragmented=fragmented) as writer:
        for number in range(25):
            writer.frame(np.full((144, 160), 16 if number < 12 else 200, np.uint8), index=number)
        click = np.zeros(480, np.int16)
        click[:] = 20_000 * np.sign(np.sin(np.arange(480)))
        writer.sound(click, pts=480_000)  # the gap before it becomes silence
        writer.sound(np.zeros(20_000, np.int16), pts=490_000)
    sound = np.zeros(60_000)
    for pts, block in read_sound(tmp_path / "a.mp4"):
        at = round(pts * SOUND_RATE_HZ / 1_000_000)
        sound[max(0, at) : max(0, at) + len(block)] = block[max(0, -at) :]
    loud = np.flatnonzero(np.abs(sound) > 5000)
    with av.open(str(tmp_path / "a.mp4")) as container:
        flash = next(f.time for f in container.decode(video=0) if f.to_ndarray(format="gray").mean() > 100)
    assert abs(loud[0] / SOUND_RATE_HZ - flash) < 0.005 and abs(flash - 0.48) < 0.022


def test_a_video_without_sound_has_none(tmp_path: Path) -> None:
    assert list(read_sound(write_video(tmp_path / "a.mp4"))) == []


# Writing


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    with av.open(str(write_video(tmp_path / "a.mp4"))) as container:
        codec = container.streams.video[0].codec_context
        assert container.metadata["comment"] == "AI-generated"
        assert (codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc) == (1, 6, 6, 6)


def test_a_file_appears_when_it_is_whole_only(tmp_path: Path) -> None:
    writer = Mp4Writer(tmp_path / "a.mp4", 160, 96, Fraction(25), sound=False)
    writer.frame(rgb_to_i420(scene()), index=0)
    assert not (tmp_path / "a.mp4").exists()
    writer.close()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_failed_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Mp4Writer(tmp_path / "a.mp4", 160, 96, Fraction(25), sound=True) as writer:
        writer.frame(rgb_to_i420(scene()), index=0)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "none" / "a.mp4", tmp_path / "file" / "a.mp4"):
        with pytest.raises(StudioError, match="cannot be written"):
            Mp4Writer(path, 160, 96, Fraction(25), sound=False)


@pytest.mark.apart
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    # A limit on file size stands in for a full disk; the limit holds for a whole process, hence the second process.
    code = """
import resource, signal, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from shared.errors import StudioError
from shared.media.mp4 import Mp4Writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(0)
try:
    with Mp4Writer(Path(sys.argv[1]), 320, 240, Fraction(25), sound=False) as writer:
        for number in range(100):
            writer.frame(noise.integers(16, 235, (360, 320)).astype(np.uint8), index=number)
except StudioError as error:
    print("told:", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.mp4"], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.startswith("told:") and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.apart
def test_a_recording_survives_kill_9(tmp_path: Path) -> None:
    code = """
import sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from shared.media.mp4 import Mp4Writer
writer = Mp4Writer(Path(sys.argv[1]), 160, 96, Fraction(25), sound=True, fragmented=True)
for number in range(10_000):
    writer.frame(np.full((144, 160), 16 + number % 200, np.uint8), index=number)
    writer.sound(np.zeros(1920, np.int16), pts=number * 40_000)
    if number == 100:
        print("enough", flush=True)
        sys.stdin.readline()
"""
    path = tmp_path / "a.mp4"
    process = subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout and process.stdout.readline() == b"enough\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with VideoReader(path) as reader:
        frames = list(reader)
        assert reader.has_audio
    # The file has whole seconds of the four that were written; the encoder holds some frames back.
    # Both streams begin later by the sound's first block of 21 ms, which is the delay of the encoder.
    assert len(frames) >= 50 and 0 <= frames[30][0] - 30 * 40_000 < 22_000
    assert sum(len(block) for _, block in read_sound(path)) > 1.5 * SOUND_RATE_HZ


def test_a_frame_out_of_order_is_dropped(tmp_path: Path) -> None:
    with Mp4Writer(tmp_path / "a.mp4", 160, 96, Fraction(25), sound=False) as writer:
        for index in (0, 1, 1, 0, 2):
            writer.frame(rgb_to_i420(scene()), index=index)
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert [pts for pts, _ in reader] == [0, 40_000, 80_000]


@pytest.mark.parametrize("begun", [False, True], ids=["before it begins", "in the middle"])
def test_a_stream_that_stalls_says_that_nothing_comes(
    begun: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error names the stall, although FFmpeg reports a timeout as an exit that was requested."""
    monkeypatch.setattr(reading, "OPEN_TIMEOUT_S", 0.3)
    monkeypatch.setattr(reading, "READ_TIMEOUT_S", 0.3)
    film = write_video(tmp_path / "film.mp4", 400).read_bytes() if begun else b""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: %d\r\n\r\n" % len(film)
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        peers = []
        while not ended.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                break
            peers.append(peer)
            if begun:
                peer.sendall(head + film[: len(film) - 2000])
        for peer in peers:
            peer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        port = listener.getsockname()[1]
        try:
            with pytest.raises(StudioError, match=r"\(no data was received in time\)") as stalled:
                for _ in VideoReader(f"http://127.0.0.1:{port}/film.mp4"):
                    pass
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            server.join()
    assert f"http://127.0.0.1:{port}/film.mp4" in str(stalled.value) and "exit" not in str(stalled.value).lower()
