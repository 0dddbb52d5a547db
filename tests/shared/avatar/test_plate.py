"""A plate on disk: any frame is read directly, it plays to and fro, and files that do not fit are refused."""

from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from shared.avatar.plate import Plate, save_index
from shared.errors import StudioError
from shared.media.colour import i420_to_rgb


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder of a plate with five frames, each of one grey."""
    frames = [simplejpeg.encode_jpeg(np.full((48, 64, 3), 40 * n, np.uint8), 95, "RGB", "420") for n in range(5)]
    (tmp_path / "plate.mjpg").write_bytes(b"".join(frames))
    save_index(
        tmp_path,
        width=64,
        height=48,
        fps=25.0,
        sizes=[len(frame) for frame in frames],
        placements=np.tile(np.eye(2, 3), (5, 1, 1)),
        gains=np.ones((5, 3), np.float32),
        offsets=np.zeros((5, 3), np.float32),
    )
    return tmp_path


def test_any_frame_comes_out_at_once(folder: Path) -> None:
    plate = Plate.load(folder)
    for number in (3, 0, 4, 1, 3):
        rgb = i420_to_rgb(plate.frame(number))
        assert rgb.shape == (48, 64, 3) and abs(float(rgb.mean()) - 40 * number) < 2


def test_it_is_played_to_and_fro_without_a_jump(folder: Path) -> None:
    plate = Plate.load(folder)
    shown = [plate.index(n * 40_000) for n in range(17)]
    assert shown == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0]


def test_a_jpeg_is_the_very_bytes_on_disk(folder: Path) -> None:
    plate = Plate.load(folder)
    assert b"".join(plate.jpeg(n) for n in range(5)) == (folder / "plate.mjpg").read_bytes()


def test_a_plate_of_before_openings_were_measured_has_none(folder: Path) -> None:
    assert Plate.load(folder).openings is None


def test_a_shortened_file_is_refused(folder: Path) -> None:
    whole = (folder / "plate.mjpg").read_bytes()
    (folder / "plate.mjpg").write_bytes(whole[:-100])
    with pytest.raises(StudioError, match="add the avatar again"):
        Plate.load(folder)


def test_a_damaged_index_is_refused(folder: Path) -> None:
    (folder / "plate.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(StudioError, match="add the avatar again"):
        Plate.load(folder)


def test_decoded_frames_are_kept_within_bounds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.avatar.plate.CACHE_BYTES", 2 * 48 * 64 * 3 // 2)
    plate = Plate.load(folder)
    for number in range(5):
        plate.frame(number)
    assert len(plate._cache) == 2
