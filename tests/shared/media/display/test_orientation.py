"""Display matrices and EXIF: eight orientations of a stored image, all shown upright."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from services.capture.demux import DriverFrame, read_driver
from shared.media.array_types import ImageArray
from shared.media.display.orientation import AS_STORED, Orientation, orientation_of_matrix
from shared.media.intake.damage import Damage
from shared.media.reader import VideoReader
from shared.media.still import read_image
from tests.support.files.film_files import write_film

pytestmark = pytest.mark.unit

ONE = 1 << 16
# For each of the eight values of EXIF's orientation: where the image's right and its bottom go (a, b, c, d of a display
# matrix), and how the stored image is made from the upright one.
LYING: dict[int, tuple[tuple[int, int, int, int], Callable[[ImageArray], ImageArray]]] = {
    1: ((1, 0, 0, 1), lambda up: up),
    2: ((-1, 0, 0, 1), lambda up: up[:, ::-1]),
    3: ((-1, 0, 0, -1), lambda up: up[::-1, ::-1]),
    4: ((1, 0, 0, -1), lambda up: up[::-1]),
    5: ((0, 1, 1, 0), lambda up: np.swapaxes(up, 0, 1)),
    6: ((0, 1, -1, 0), lambda up: np.rot90(up, 1)),
    7: ((0, -1, -1, 0), lambda up: np.rot90(np.swapaxes(up, 0, 1), 2)),
    8: ((0, -1, 1, 0), lambda up: np.rot90(up, -1)),
}


def upright_scene() -> ImageArray:
    """Return a (96, 160, 3) image in which no two corners are alike."""
    rgb = np.full((96, 160, 3), 90, np.uint8)
    rgb[:32, :48], rgb[:32, 112:], rgb[64:, :48] = (220, 20, 20), (20, 200, 20), (20, 20, 220)
    return rgb


def corners(rgb: ImageArray) -> list[list[int]]:
    height, width = rgb.shape[:2]
    return [rgb[y, x].round(-1).tolist() for y in (12, height - 12) for x in (12, width - 12)]


def display_matrix(a: int, b: int, c: int, d: int) -> list[int]:
    return [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30]


@pytest.mark.parametrize("value", LYING)
def test_a_film_is_shown_as_its_display_matrix_says(value: int, tmp_path: Path) -> None:
    numbers, lay = LYING[value]
    stored = av.VideoFrame.from_ndarray(np.ascontiguousarray(lay(upright_scene())), "rgb24").reformat(format="yuv444p")
    film = write_film(tmp_path / "a.mp4", [stored], matrix=display_matrix(*numbers))
    with VideoReader(film) as reader:
        ((_, rgb),) = reader
        assert (reader.width, reader.height) == (160, 96)
    assert np.abs(rgb.astype(int) - upright_scene()).max() < 12
    (driven,) = [each.rgb for each in read_driver(film, motion=True, damage=Damage()) if isinstance(each, DriverFrame)]
    assert driven.shape == (96, 160, 3) and np.abs(driven.astype(int) - upright_scene()).max() < 12, "live too"


@pytest.mark.parametrize("value", LYING)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_still_is_shown_as_its_exif_says(value: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    Image.fromarray(np.ascontiguousarray(LYING[value][1](upright_scene()))).save(tmp_path / f"a.{suffix}", exif=exif)
    rgb = read_image(tmp_path / f"a.{suffix}")
    assert rgb.shape == (96, 160, 3) and np.abs(rgb.astype(int) - upright_scene()).mean() < 6


def test_a_matrix_that_is_none_leaves_the_frame_as_it_is() -> None:
    for numbers in ([0] * 9, [1, 2]):
        assert orientation_of_matrix(np.array(numbers, np.int32).tobytes()) == AS_STORED
    leaning = [int(0.98 * ONE), int(0.17 * ONE), 0, int(-0.17 * ONE), int(0.98 * ONE), 0, 0, 0, 1 << 30]
    assert orientation_of_matrix(np.array(leaning, np.int32).tobytes()) == AS_STORED, "the nearest quarter turn"
    assert Orientation().upright(scene := upright_scene()) is scene, "nothing is copied"


@pytest.mark.parametrize(
    "block", [b"MM\0*", b"MM", b"no TIFF at all", b"MM\0*\0\0\xff\xff", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0"]
)
@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_a_broken_exif_block_says_nothing(suffix: str, block: bytes, tmp_path: Path) -> None:
    how = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(upright_scene()).save(tmp_path / f"a.{suffix}", exif=b"Exif\0\0" + block, **how)  # type: ignore[arg-type]
    assert np.array_equal(read_image(tmp_path / f"a.{suffix}"), upright_scene())


def test_what_else_is_broken_in_exif_does_not_count(tmp_path: Path) -> None:
    """A valid orientation counts even after an entry of the wrong type."""
    entries = struct.pack(">HHII", 0x0100, 2, 6, 50) + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    block = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 2) + entries + bytes(4) + bytes(12) + b"make\xff\0"
    lying = np.ascontiguousarray(LYING[6][1](upright_scene()))
    Image.fromarray(lying).save(tmp_path / "a.jpg", exif=block, quality=95, subsampling=0)
    with Image.open(tmp_path / "a.jpg") as image, pytest.raises(struct.error):
        ImageOps.exif_transpose(image)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - upright_scene()).mean() < 6


@pytest.mark.parametrize(("value", "size"), [(1, (160, 72)), (6, (72, 160))])
def test_pixels_that_are_not_square_are_made_so(value: int, size: tuple[int, int], tmp_path: Path) -> None:
    disc = np.zeros((72, 120), np.uint8)
    y, x = np.mgrid[:72, :120]
    disc[((x - 60) * 4 / 3) ** 2 + (y - 36) ** 2 < 30**2] = 255
    frame = av.VideoFrame.from_ndarray(np.repeat(disc[..., None], 3, 2), "rgb24").reformat(format="yuv444p")
    film = write_film(tmp_path / "a.mp4", [frame], aspect=Fraction(4, 3), matrix=display_matrix(*LYING[value][0]))
    with VideoReader(film) as reader:
        ((_, rgb),) = reader
        assert (reader.width, reader.height) == size == rgb.shape[1::-1]
    rows, columns = (np.flatnonzero((rgb[..., 1] > 128).any(axis=axis)) for axis in (1, 0))
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 2, "a disc is round"
    (driven,) = [each.rgb for each in read_driver(film, motion=True, damage=Damage()) if isinstance(each, DriverFrame)]
    assert driven.shape == rgb.shape, "live too"
