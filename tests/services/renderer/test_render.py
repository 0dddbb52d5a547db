"""`studio render`: the driver's length, rate and sound, the same functions as live, and no half-written file."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from compositing.caption import caption_pages
from services.renderer.job.foreground import render_file
from shared.avatar.model import Avatar, load_avatar
from shared.errors import StudioError
from shared.media.output_spec import OutputSpec
from shared.media.reader import Mp4Writer, VideoReader
from shared.runtime.clock import SOUND_RATE_HZ
from shared.voices.webvtt import Cue, webvtt
from tests.support.files.sound_files import wav
from tests.support.files.voice_material import silence, sound_of, voiced

FRAMES = 40


@pytest.fixture(scope="module")
def avatar(live_home: Path) -> Avatar:
    return load_avatar(live_home / "avatars" / "sample-video")


@pytest.fixture(scope="module")
def driver(live_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 40 frames of the sample driver at 30 a second, with a click every half second."""
    path = tmp_path_factory.mktemp("driver") / "driver.mp4"
    clicks = np.zeros(FRAMES * SOUND_RATE_HZ // 30, np.int16)
    clicks[:: SOUND_RATE_HZ // 2] = 20_000
    with av.open(str(live_home / "drivers" / "sample.mp4")) as source:
        frames = [f.to_ndarray(format="yuv420p") for f, _ in zip(source.decode(video=0), range(FRAMES), strict=False)]
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    with Mp4Writer(path, width, height, Fraction(30), sound=True) as writer:
        for number, frame in enumerate(frames):
            writer.frame(np.asarray(frame, np.uint8), index=number)
        writer.sound(clicks, 0)
    return path


def heard_in(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)])


def test_length_rate_and_sound_are_the_drivers(avatar: Avatar, driver: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    seen: list[tuple[int, int]] = []
    assert render_file(avatar, driver, out, progress=lambda done, total: seen.append((done, total))) == FRAMES
    assert seen == sorted(seen) and seen[0][0] < 2 and seen[-1] == (FRAMES, FRAMES)
    assert len({done for done, _ in seen}) > FRAMES / 2 and {total for _, total in seen} == {FRAMES}
    with VideoReader(out) as reader:
        frames = list(reader)
        assert reader.fps == 30 and (reader.width, reader.height) == (avatar.plate.width, avatar.plate.height)
    assert len(frames) == FRAMES
    assert [p for p, _ in frames] == pytest.approx([n * 1e6 / 30 for n in range(FRAMES)], abs=1500)
    assert np.array_equal(heard_in(out), heard_in(driver)), "sound is copied, not encoded again"
    with av.open(str(out)) as container:
        assert container.metadata["comment"] == "AI-generated"
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)])
def test_a_voice_is_rendered_with_its_own_sound_and_length(avatar: Avatar, tmp_path: Path, rate: Fraction) -> None:
    voice, out = tmp_path / "speech.wav", tmp_path / "out.mp4"
    sound = sound_of([silence(0.4), voiced("a", 0.5), silence(0.37)])
    voice.write_bytes(wav(sound))
    captions = tmp_path / "speech.vtt"
    captions.write_text(webvtt([Cue(400_000, 900_000, "Ah.")]), encoding="utf-8")
    count = render_file(avatar, voice, out, rate=rate, captions=captions, output=OutputSpec(burn_captions=True))
    assert out.with_suffix(".vtt").read_bytes() == captions.read_bytes()
    seconds = len(sound) / SOUND_RATE_HZ
    assert count / rate == pytest.approx(seconds, abs=float(1 / rate))
    with VideoReader(out) as reader:
        frames = [rgb.astype(int) for _, rgb in reader]
        assert reader.fps == pytest.approx(rate, rel=1e-3) and len(frames) == count and reader.has_audio
    x, y, w, h = caption_pages("Ah.", avatar.plate.width, avatar.plate.height)[0].overlay.box
    levels = [frame[y : y + h, x : x + w].mean() for frame in frames]
    burnt = [number for number, level in enumerate(levels) if abs(level - levels[0]) > 10]
    assert burnt == list(range(burnt[0], burnt[-1] + 1))
    assert float(burnt[0] / rate) == pytest.approx(0.4, abs=0.03)
    assert float((burnt[-1] + 1) / rate) == pytest.approx(0.9, abs=0.03)
    heard = heard_in(out)
    assert len(heard) / SOUND_RATE_HZ == pytest.approx(seconds, abs=0.05)
    first = np.flatnonzero(np.abs(heard) > 0.05)[0] / SOUND_RATE_HZ
    assert first == pytest.approx(0.4, abs=0.03), "the sound is where it was"
    quiet, loud = (np.abs(frames[int(a * rate)] - frames[int(b * rate)]).mean() for a, b in ((0.2, 0.3), (0.3, 0.6)))
    assert loud > 2 * quiet, "the mouth does not move with the voice"
    if rate == 25:
        render_file(avatar, voice, out, rate=rate)
        assert not out.with_suffix(".vtt").exists(), "the captions of the film that was there before"
        with pytest.raises(StudioError, match="Captions can be burnt in only for a spoken text"):
            render_file(avatar, voice, out, output=OutputSpec(burn_captions=True))


def test_an_engine_that_no_voice_drives_says_so(
    avatar: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.mesh.engine import MeshEngine

    monkeypatch.setattr(MeshEngine, "info", replace(MeshEngine.info, inputs=frozenset({"motion"})))
    voice = tmp_path / "speech.wav"
    voice.write_bytes(wav(np.zeros(16_000, np.int16), 16_000))
    with pytest.raises(StudioError, match="Mesh warp is moved by a face on video"):
        render_file(avatar, voice, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_the_face_follows_the_driver(avatar: Avatar, driver: Path, tmp_path: Path) -> None:
    """The mouth opening, tracked in the output, correlates with that of the driver."""
    from shared.face.tracker import FaceTracker

    out = tmp_path / "out.mp4"
    render_file(avatar, driver, out, output=OutputSpec(label=False))
    openings = []
    for path in (driver, out):
        tracker = FaceTracker()
        with VideoReader(path) as reader:
            faces = [tracker.track(rgb) for _, rgb in reader]
        openings.append([f.mouth_opening if f else np.nan for f in faces])
    assert not np.isnan(openings).any()
    assert np.corrcoef(openings[0][3:], openings[1][3:])[0, 1] > 0.9


def test_it_is_repeatable(avatar: Avatar, driver: Path, tmp_path: Path) -> None:
    hashes = []
    for name in ("a.mp4", "b.mp4"):
        render_file(avatar, driver, tmp_path / name)
        with VideoReader(tmp_path / name) as reader:
            hashes.append([hash(rgb.tobytes()) for _, rgb in reader])
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    "name, content, words",
    [("empty.mp4", b"", "empty"), ("text.mp4", b"hello" * 999, "text.mp4"), ("gone.mp4", None, "no file")],
)
def test_a_bad_driver_is_one_sentence_and_leaves_nothing(
    avatar: Avatar, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    driver, out = tmp_path / name, tmp_path / "out" / "out.mp4"
    out.parent.mkdir()
    if content is not None:
        driver.write_bytes(content)
    with pytest.raises(StudioError, match=words) as caught:
        render_file(avatar, driver, out)
    assert "\n" not in str(caught.value) and not list(out.parent.iterdir())


def test_a_driver_cut_off_in_the_middle_is_rendered_as_far_as_it_goes(
    avatar: Avatar, driver: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(driver.read_bytes()[: driver.stat().st_size * 2 // 5])
    notes: list[str] = []
    assert render_file(avatar, cut, tmp_path / "out.mp4", told=notes.append) > 5
    assert "cut.mp4 ends after" in " ".join(notes)


def test_the_command_says_it_in_one_sentence(live_home: Path, tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "cli.app", "render", "--home", live_home, "--driver", "gone.mp4", "--out", "x.mp4"],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
    )
    assert answer.returncode == 1 and "gone.mp4" in answer.stderr and "Traceback" not in answer.stderr
    assert not list(tmp_path.iterdir())
