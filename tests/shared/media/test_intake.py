"""Files as users bring them: recognised by their content, read on after damage, refused in one sentence."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from shared.errors import StudioError
from shared.media.intake import image_open
from shared.media.intake.damage import Damage
from shared.media.intake.pcm_start import PcmStart
from shared.media.intake.signature import is_still_image, signature_of
from shared.media.reader import VideoReader, open_container, read_sound, sound_of
from shared.media.still import read_image
from shared.media.timeline import read_timeline
from shared.runtime.clock import SOUND_RATE_HZ
from shared.still_film import has_motion
from tests.support.files.image_files import png_header
from tests.support.files.media_material import write_driver
from tests.support.files.sound_files import tone, wav


def spoiled(path: Path, at: float, length: int = 200) -> Path:
    """Overwrite a few bytes at the fraction `at` of the file's length with zeros; return its path."""
    data = bytearray(path.read_bytes())
    begin = int(len(data) * at)
    data[begin : begin + length] = bytes(length)
    path.write_bytes(data)
    return path


def seconds_of(path: Path, damage: Damage) -> float:
    return sum(len(samples) for _, samples in read_sound(path, damage)) / SOUND_RATE_HZ


@pytest.mark.parametrize(
    "name, codec",
    [
        ("a.mp4", "aac"),
        ("a.mkv", "aac"),
        ("a.mp3", "mp3"),
        ("a.ogg", "libopus"),
        ("a.flac", "flac"),
        ("a.ac3", "ac3"),
    ],
)
def test_sound_is_read_on_after_a_bad_packet(tmp_path: Path, name: str, codec: str) -> None:
    path = write_driver(tmp_path / name, sound=3.0, codec=codec)
    whole = seconds_of(path, Damage())
    damage = Damage()
    left = seconds_of(spoiled(path, 0.6), damage)
    assert whole == pytest.approx(3.0, abs=0.15) and left > 1.7
    lost = damage.sound_us / 1e6 + 3.0 - left
    notes = " ".join(read_timeline(path).notes)
    assert lost < 0.5 or name == "a.ogg" or " ends after" in notes  # Matroska cannot resume inside a cluster


@pytest.mark.parametrize(
    "name, video", [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.ts", "libx264")]
)
def test_frames_are_read_on_after_damage(tmp_path: Path, name: str, video: str) -> None:
    path = write_driver(tmp_path / name, frames=75, video=video, options={"g": "10"})
    with VideoReader(spoiled(path, 0.5)) as reader:
        stamps = [pts for pts, _ in reader]
    assert len(stamps) > 50 and stamps[-1] > 2_500_000


def test_what_was_lost_is_counted_in_a_sentence(tmp_path: Path) -> None:
    path = write_driver(tmp_path / "talk.mp4", frames=75, options={"g": "5"})
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for place in places[20:23]:
        assert place is not None
        data[place : place + 12] = b"\xff" * 12
    path.write_bytes(data)
    with VideoReader(path) as reader:
        shown = sum(1 for _ in reader)
    assert reader.damage.frames == 3 and shown <= 72
    assert reader.damage.sentence("talk.mp4").startswith("talk.mp4 is damaged: 3 of its frames could not be read")


def test_a_file_that_is_nothing_but_damage_is_refused(tmp_path: Path) -> None:
    path = write_driver(tmp_path / "talk.mp4", frames=20, sound=1.0)
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[begin:end] = b"\xff" * (end - begin)
    path.write_bytes(data)
    with pytest.raises(StudioError, match=r"talk\.mp4 contains no readable frame"):
        VideoReader(path)
    with pytest.raises(StudioError, match=r"talk\.mp4 holds no sound that can be read"):
        list(read_sound(path))


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("empty.mp4", b"", "empty.mp4 is empty"),
        ("page.mp4", b"<!DOCTYPE html><html></html>" * 9, "page.mp4 is a web page"),
        ("letter.mp4", "Grüße\n".encode() * 200, "letter.mp4 is a text file"),
        ("doc.mp4", b"%PDF-1.7" + bytes(999), "doc.mp4 is a PDF"),
        ("zeros.mp4", bytes(4096), "zeros.mp4 begins with zeros only"),
        ("list.mp4", b"#EXTM3U\nfile.mp4\n", "list.mp4 is a playlist"),
        ("noise.mp4", np.random.default_rng(1).bytes(999), "noise.mp4 is damaged, or in an unsupported format"),
    ],
)
def test_what_a_file_is_not_is_one_sentence(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StudioError, match=words) as caught:
        open_container(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_dangling_link_are_called_that(tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(tmp_path / "gone.mp4")
    for read in (open_container, read_image):
        with pytest.raises(StudioError, match=f"{tmp_path.name} is a folder"):
            read(tmp_path)
        with pytest.raises(StudioError, match=r"link\.mp4 is a link"):
            read(tmp_path / "link.mp4")


def test_a_recording_without_its_index_is_called_unfinished(tmp_path: Path) -> None:
    path = write_driver(tmp_path / "talk.mp4", frames=20)
    path.write_bytes(path.read_bytes().replace(b"moov", b"xoov"))
    with pytest.raises(StudioError, match=r"talk\.mp4 is an unfinished recording"):
        open_container(path)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_the_default_track_is_the_one_that_is_heard(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono") for _ in range(2)]
        streams[0].disposition = av.stream.Disposition(0)
        streams[1].disposition = av.stream.Disposition.default
        for stream, hertz in zip(streams, (1000.0, 300.0), strict=True):
            frame = av.AudioFrame.from_ndarray(tone(1.0, hertz)[None, :], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE_HZ, 0, Fraction(1, SOUND_RATE_HZ)
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    with open_container(path) as container:
        found = sound_of(container)
        assert found is not None and found.index == 1
    heard = np.concatenate([samples for _, samples in read_sound(path)]).astype(float)
    assert abs(np.abs(np.fft.rfft(heard)).argmax() * SOUND_RATE_HZ / len(heard) - 300) < 5


@pytest.mark.parametrize("count, rate", [(1, 25), (3, 1), (75, 25)])
def test_a_still_image_with_a_voice_is_a_voice(tmp_path: Path, count: int, rate: int) -> None:
    path = tmp_path / "cover.mp4"
    with av.open(str(path), "w") as container:
        seen = container.add_stream("libx264", rate=rate)
        seen.width, seen.height, seen.pix_fmt = 160, 96, "yuv420p"
        heard = container.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono")
        pixels = np.random.default_rng(2).integers(0, 256, (144, 160)).astype(np.uint8)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(pixels, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(seen.encode(frame))
        container.mux(seen.encode(None))
        block = av.AudioFrame.from_ndarray(tone(3.0)[None, :], format="s16", layout="mono")
        block.sample_rate, block.pts, block.time_base = SOUND_RATE_HZ, 0, Fraction(1, SOUND_RATE_HZ)
        container.mux(heard.encode(block))
        container.mux(heard.encode(None))
    assert not has_motion(path)
    assert has_motion(write_driver(tmp_path / "moving.mp4", frames=75, sound=3.0))


@pytest.mark.parametrize("layout, speaking", [("5.1", 2), ("7.1", 2), ("stereo", 0), ("5.1", None)])
def test_speech_is_as_loud_in_any_layout(tmp_path: Path, layout: str, speaking: int | None) -> None:
    speech = tone(1.0)
    planes = np.zeros((av.AudioLayout(layout).nb_channels, len(speech)), np.int16)
    planes[slice(None) if speaking is None else speaking] = speech
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=SOUND_RATE_HZ, layout=layout)
        frame = av.AudioFrame.from_ndarray(planes.T.reshape(1, -1).copy(), format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE_HZ, 0, Fraction(1, SOUND_RATE_HZ)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    heard = np.concatenate([samples for _, samples in read_sound(path)]).astype(float)
    assert float(np.std(heard)) == pytest.approx(float(np.std(speech.astype(float))), rel=0.02)


# Images


@pytest.mark.parametrize(
    "form, name", [("JPEG", "a.jfif"), ("AVIF", "a.avif"), ("PNG", "a.mp4"), ("WEBP", "a"), ("BMP", "a.txt")]
)
def test_an_image_is_one_by_what_it_holds(tmp_path: Path, form: str, name: str) -> None:
    Image.fromarray(np.full((64, 64, 3), 120, np.uint8)).save(tmp_path / name, form)
    assert is_still_image(tmp_path / name) and read_image(tmp_path / name).shape == (64, 64, 3)
    with pytest.raises(StudioError, match="is an image"):
        open_container(tmp_path / name).close()


def test_an_animated_image_is_a_film(tmp_path: Path) -> None:
    first = Image.fromarray(np.full((64, 64, 3), 20, np.uint8))
    for name in ("a.gif", "a.png"):
        first.save(tmp_path / name, save_all=True, append_images=[first.point(lambda level: level + 90)], duration=100)
        assert not is_still_image(tmp_path / name)
        with VideoReader(tmp_path / name) as reader:
            assert len(list(reader)) == 2


def test_a_phones_largest_photograph_is_reduced_while_it_is_decoded(tmp_path: Path) -> None:
    image = Image.new("L", (10_000, 8_000), 90)
    image.paste(200, (0, 0, 5_000, 8_000))
    for name in ("a.jpg", "a.png"):
        image.save(tmp_path / name)
        rgb = read_image(tmp_path / name)
        assert rgb.shape == (4_000, 5_000, 3)
        assert abs(int(rgb[100, 100, 0]) - 200) < 3 and abs(int(rgb[100, 4_900, 0]) - 90) < 3


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_broken_exif_block_refuses_no_image_that_is_reduced(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_open, "KEPT_PIXELS", 4_000)
    turned, image = Image.Exif(), Image.new("RGB", (160, 96), (90, 90, 90))
    turned[0x0112] = 6
    blocks = {
        "junk": b"Exif\0\0" + bytes(range(200)),
        "short": b"Exif\0\0MM\0*\0\0\0\x08\0",
        "turned": turned.tobytes(),
    }
    for name, block in blocks.items():
        image.save(tmp_path / name, form, exif=block)
        wanted = (80, 48, 3) if name == "turned" else (48, 80, 3)
        assert read_image(tmp_path / name).shape == wanted, name


def test_a_progressive_jpeg_is_kept_whole_and_has_the_limit_of_other_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_open, "MAX_IMAGE_PIXELS", 10_000)
    image = Image.new("RGB", (160, 96))
    image.save(tmp_path / "usual.jpg")
    image.save(tmp_path / "progressive.jpg", progressive=True)
    assert read_image(tmp_path / "usual.jpg").shape == (96, 160, 3)
    with pytest.raises(StudioError, match=r"progressive\.jpg has 160x96 pixels, more than"):
        read_image(tmp_path / "progressive.jpg")


def test_an_image_of_16_bits_or_of_printing_colours_is_read(tmp_path: Path) -> None:
    wide = np.zeros((64, 64, 3), np.uint16)
    wide[..., 2] = 200 * 257  # red, in OpenCV's order of channels
    cv2.imwrite(str(tmp_path / "wide.png"), wide)
    Image.new("RGB", (64, 64), (200, 0, 0)).convert("CMYK").save(tmp_path / "print.jpg")
    for name in ("wide.png", "print.jpg"):
        assert np.abs(read_image(tmp_path / name).astype(int) - (200, 0, 0)).max() < 4, name


def test_a_heic_image_is_read_or_names_the_extra(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(200))
    signed = signature_of(path)
    assert signed is not None and signed.name == "HEIC"
    with pytest.raises(StudioError, match=r"photo\.jpg is (a HEIC image, which needs an extra|truncated|damaged)"):
        read_image(path)


def test_a_truncated_image_of_many_pixels_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_header(9_000, 9_000))
    with pytest.raises(StudioError, match=r"a\.png is truncated"):
        read_image(tmp_path / "a.png")


# Raw PCM


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
@pytest.mark.parametrize("kind", ["WAV", "MP3", "Ogg", "FLAC", "AAC"])
def test_a_file_sent_as_pcm_is_recognised(tmp_path: Path, kind: str, size: int) -> None:
    if kind == "WAV":
        data = wav(tone(0.5))
    else:
        codec, name = {
            "MP3": ("mp3", "a.mp3"),
            "Ogg": ("libopus", "a.ogg"),
            "FLAC": ("flac", "a.flac"),
            "AAC": ("aac", "a.aac"),
        }[kind]
        data = write_driver(tmp_path / name, sound=1.0, codec=codec).read_bytes()
    data = data[data.index(b"\xff\xfb") :] if kind == "MP3" else data  # without its ID3 tag
    start = PcmStart()
    with pytest.raises(ValueError, match=f"This is {kind}"):
        for at in range(0, len(data), size):
            start.feed(data[at : at + size])


def test_pcm_passes_whole(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    for case in range(200):
        data = random.integers(-32768, 32768, 4000).astype("<i2").tobytes()
        data = b"\xff\xfb\x90\x64" + data if case == 0 else data  # begins like a frame of MP3
        start = PcmStart()
        assert b"".join(start.feed(data[at : at + 33]) for at in range(0, len(data), 33)) + start.rest() == data
