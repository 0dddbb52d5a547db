"""Drivers are read in a thread: files in time and completely, live sources newest frame first."""

import time
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from harness.channel import wait_for
from services.capture.demux import DriverFrame, DriverSoundBlock, read_driver, shrink_to_limit
from services.capture.source import READ_AHEAD_FRAMES, DriverReader
from shared.driver_ref import DriverRef
from shared.errors import StudioError
from shared.face.follower import FOLLOWED_SIDE_PX
from shared.media.intake.damage import Damage
from shared.media.reader import Mp4Writer
from shared.runtime.clock import SOUND_RATE_HZ, US
from shared.runtime.wake import Wake
from shared.still_film import has_motion
from tests.support.files.sound_files import wav

FRAMES, FPS = 20, 25


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 grey frames that grow lighter, with a tone."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with Mp4Writer(path, 320, 240, Fraction(FPS), sound=True) as writer:
        for number in range(FRAMES):
            writer.frame(np.full((360, 320), 30 + 8 * number, np.uint8), index=number)
        tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(FRAMES * SOUND_RATE_HZ // FPS) / SOUND_RATE_HZ)
        writer.sound(tone.astype(np.int16), 0)
    return path


def collect(driver: DriverReader, enough: Callable[[list[DriverFrame]], bool]) -> list[DriverFrame]:
    """Read the driver's frames until `enough` accepts them; return them."""
    got: list[DriverFrame] = []

    def served() -> bool:
        while frame := driver.next_frame():
            got.append(frame)
            driver.mark_served()
        return enough(got)

    wait_for(served, every=0.005)
    return got


def opened(word: str, *, loop: bool) -> DriverReader:
    driver = DriverReader(DriverRef.of_scene(word), loop=loop, sample=Path("none"), wake=Wake())
    driver.start()
    return driver


def noted(driver: DriverReader) -> str:
    """Wait for the note of a driver that cannot be read, close the driver and return the note."""
    note: str = wait_for(lambda: driver.note)
    driver.close()
    return note


def test_a_file_gives_all_its_frames_and_sound_in_time(film: Path) -> None:
    items = list(read_driver(film, motion=True, damage=Damage()))
    frames = [i for i in items if isinstance(i, DriverFrame)]
    assert [p.pts for p in frames] == pytest.approx([n * US // FPS for n in range(FRAMES)], abs=1000)
    sounds = [i for i in items if isinstance(i, DriverSoundBlock)]
    assert sum(len(s.samples) for s in sounds) == pytest.approx(FRAMES * SOUND_RATE_HZ / FPS, abs=2048)


def test_a_loop_goes_on_where_the_file_ended(film: Path) -> None:
    driver = opened(f"file:{film}", loop=True)
    got = collect(driver, lambda got: len(got) >= 3 * FRAMES)[: 3 * FRAMES]
    driver.close()
    assert np.diff([p.pts for p in got]) == pytest.approx(np.full(3 * FRAMES - 1, US // FPS), abs=1500)


def test_once_means_once_and_reading_ahead_is_bounded(film: Path) -> None:
    driver = opened(f"file:{film}", loop=True)
    time.sleep(0.5)
    assert len(driver.frames) <= READ_AHEAD_FRAMES + 1
    driver.close()
    driver = opened(f"file:{film}", loop=False)
    assert len(collect(driver, lambda got: driver.ended)) == FRAMES and not driver.note


@pytest.mark.parametrize("content", [b"", b"not a film at all" * 100])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(StudioError) as caught:
        has_motion(path)
    assert "bad.mp4" in str(caught.value) and "\n" not in str(caught.value)
    driver = opened(f"file:{path}", loop=True)
    assert "bad.mp4" in noted(driver)


def test_sound_without_video_is_a_voice_that_drives(tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(wav((8000 * np.sin(np.arange(32_000) / 8)).astype(np.int16), 16_000))
    assert not has_motion(path)
    items = list(read_driver(path, motion=False, damage=Damage()))
    sounds = [item for item in items if isinstance(item, DriverSoundBlock)]
    assert len(sounds) == len(items) and all(sound.drives for sound in sounds)
    assert sum(len(sound.samples) for sound in sounds) == pytest.approx(2 * SOUND_RATE_HZ, abs=100)
    driver = opened(f"file:{path}", loop=True)
    heard: list[DriverSoundBlock] = []

    def enough() -> bool:
        while driver.sounds:
            heard.append(driver.sounds.popleft())
            driver.mark_served()
        return sum(len(s.samples) for s in heard) >= 5 * SOUND_RATE_HZ

    wait_for(enough, every=0.005)
    driver.close()
    assert driver.voice and not driver.note
    gaps = [b.pts - a.pts - len(a.samples) * US // SOUND_RATE_HZ for a, b in pairwise(heard)]
    assert max(map(abs, gaps)) < 1000, "a loop joins"


def test_unknown_words_are_told() -> None:
    assert "not a driver" in noted(opened("teapot", loop=True))


def test_frames_are_fitted_without_squashing() -> None:
    assert shrink_to_limit(np.zeros((1080, 1920, 3), np.uint8)).shape == (360, FOLLOWED_SIDE_PX, 3)
    assert shrink_to_limit(np.zeros((100, 50, 3), np.uint8)).shape == (100, 50, 3)


@pytest.mark.parametrize("word", ["http://127.0.0.1:99999/x", "camera:x"])
def test_a_word_that_names_no_driver_is_noted_and_the_reader_stays(word: str) -> None:
    driver = opened(word, loop=False)
    wait_for(lambda: driver.note)
    alive = driver._thread.is_alive()
    assert "is not a driver" in noted(driver) and alive


def test_a_note_calls_an_upload_as_its_owner_does(tmp_path: Path) -> None:
    kept = tmp_path / "0123456789abcdef.media"
    kept.write_bytes(b"%PDF-1.7" + bytes(99))
    kept.with_suffix(".txt").write_text("holiday.mp4", encoding="utf-8")
    assert noted(opened(f"file:{kept}", loop=True)).startswith("holiday.mp4 is a PDF")
