"""The service's input: a film and a speech as long as the clip."""

import wave
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from engines.clip import Clip
from engines.duix.film import FilmedHost, write_film, write_speech
from shared.avatar.model import Avatar
from shared.media.colour import i420_to_rgb, planes
from shared.media.reader import VideoReader
from shared.media.timeline import read_timeline
from shared.runtime.clock import SOUND_RATE_HZ
from tests.support.engines.duix.material import small_avatar
from tests.support.files.sound_files import silent_spans, tone, wav, write_holed_sound


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    return small_avatar(tmp_path_factory.mktemp("still") / "a")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    return small_avatar(tmp_path_factory.mktemp("filmed") / "a", own_plate=False)


def clip(avatar: Avatar, driver: Path, ticks: int, rate: Fraction = Fraction(25)) -> Clip:
    return Clip(avatar=avatar, driver=driver, driven="voice", rate=rate, ticks=ticks, size=(160, 120))


def nothing(*told: object) -> None:
    pass


def test_the_film_is_the_plate_to_and_fro_for_as_long_as_the_speech(still: Avatar, tmp_path: Path) -> None:
    """A short plate at half the clip's rate is played forward and backward."""
    steps = list[tuple[int, int]]()
    write_film(clip(still, tmp_path / "none.wav", 14), tmp_path / "film.mp4", lambda *told: steps.append(told))
    assert steps == [(number + 1, 14) for number in range(14)]
    assert read_timeline(tmp_path / "film.mp4").rate == 25
    with VideoReader(tmp_path / "film.mp4") as video:
        reds = [int(rgb[5, 5, 0]) for _, rgb in video]
    wanted = [int(i420_to_rgb(still.plate.frame(number))[5, 5, 0]) for number in range(4)]
    turns = [0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 1, 1, 0, 0]
    expected = [wanted[turn] for turn in turns]
    assert all(abs(red - wanted) <= 4 for red, wanted in zip(reds, expected, strict=True))


@pytest.mark.parametrize("index", range(4))
def test_a_foreign_body_has_the_portraits_face(filmed: Avatar, index: int) -> None:
    """The face is where the mask is, wherever the body has moved; elsewhere the plate is kept to the bit."""
    frame, plain = i420_to_rgb(FilmedHost(filmed).frame(index)), i420_to_rgb(filmed.plate.frame(index))
    left = 16 + 4 * index  # of the ROI on the plate, 48 pixels wide
    assert frame[8 + 24, left + 24] == pytest.approx((60, 180, 60), abs=4)
    changed = np.nonzero((frame != plain).any(axis=2))
    radius = 48 / 2 * 0.5**0.5
    for places, middle in zip(changed, (8 + 24, left + 24), strict=True):
        assert places.min() == pytest.approx(middle - radius, abs=2.5)
        assert places.max() == pytest.approx(middle + radius, abs=2.5)


def test_a_body_in_another_light_has_the_face_in_it(filmed: Avatar) -> None:
    gains, offsets = filmed.plate.gains * np.float32(0.5), filmed.plate.offsets + np.array([20, 0, 0], np.float32)
    dim = replace(filmed, plate=replace(filmed.plate, gains=gains, offsets=offsets))
    bright, lit = (planes(FilmedHost(each).frame(0)) for each in (filmed, dim))
    for number, offset in enumerate((20, 0, 0)):
        row, column = (32, 40) if not number else (16, 20)
        wanted = 0.5 * (float(bright[number][row, column]) - 128) + 128 + offset
        assert lit[number][row, column] == pytest.approx(wanted, abs=1.5)


def test_a_portraits_own_plate_is_filmed_as_it_is(still: Avatar) -> None:
    assert np.array_equal(FilmedHost(still).frame(0), still.plate.frame(0))


@pytest.mark.parametrize("ticks", [20, 30])
def test_the_speech_is_as_long_as_the_clip_and_where_it_was(still: Avatar, tmp_path: Path, ticks: int) -> None:
    """The sound of 25 ticks is cut, or followed by silence."""
    samples = np.arange(SOUND_RATE_HZ, dtype=np.int16) % 30_000
    (tmp_path / "in.wav").write_bytes(wav(samples.astype(np.int16)))
    write_speech(clip(still, tmp_path / "in.wav", ticks), tmp_path / "out.wav", nothing)
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, SOUND_RATE_HZ)
        found = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    count = ticks * SOUND_RATE_HZ // 25
    assert len(found) == count
    heard = min(count, len(samples))
    assert np.array_equal(found[:heard], samples[:heard]) and not found[heard:].any()


def test_a_hole_in_the_sound_is_silence_in_the_speech(still: Avatar, tmp_path: Path) -> None:
    """The sound after the hole keeps its time."""
    driver = write_holed_sound(tmp_path / "in.mkv", [(0.0, tone(0.2)), (0.7, tone(0.3))])
    write_speech(clip(still, driver, 30), tmp_path / "out.wav", nothing)
    with wave.open(str(tmp_path / "out.wav")) as file:
        found = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert len(found) == 30 * SOUND_RATE_HZ // 25
    assert silent_spans(found) == [(0.2, 0.7), (1.0, 1.2)]
