"""A cut-out that a portrait or body brings becomes the plate's, frame by frame, and no other is measured."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from shared.avatar.build import FilmChoice, add_avatar, read_portrait
from shared.avatar.choose import choose_again
from shared.avatar.manifest import read_avatar_manifest
from shared.avatar.matte import PlateMattes, own_cut_out, plate_mattes
from shared.avatar.model import load_avatar
from shared.avatar.plate_frames import CUT_OUT_INDEX, CUT_OUTS, PlateFrameWriter, SourceFrame, cut_out_starts
from shared.avatar.samples import sample_portrait
from shared.errors import StudioError
from shared.face.upright import turned
from shared.media.array_types import ImageArray
from tests.support.files.film_files import write_film

pytestmark = pytest.mark.apart


@pytest.fixture(scope="module")
def portrait() -> ImageArray:
    return np.ascontiguousarray(sample_portrait()[:640, 160:800])


def outline(shape: tuple[int, ...], across: int = 0) -> ImageArray:
    """Return a soft ellipse around head and shoulders, moved `across` pixels to the right."""
    alpha = np.zeros(shape[:2], np.uint8)
    cv2.ellipse(alpha, (shape[1] // 2 + across, shape[0] // 2), (250, 300), 0, 0, 360, (255,), -1)
    return np.asarray(cv2.GaussianBlur(alpha, (15, 15), 0), np.uint8)


def with_alpha(path: Path, rgb: ImageArray, alpha: ImageArray) -> Path:
    Image.fromarray(np.dstack([rgb, alpha])).save(path)
    return path


def film(path: Path, portrait: ImageArray, count: int = 6) -> Path:
    def frames() -> Iterator[av.VideoFrame]:
        for number in range(count):
            rgba = np.dstack([np.roll(portrait, 2 * number, axis=1), outline(portrait.shape, 2 * number)])
            yield av.VideoFrame.from_ndarray(np.ascontiguousarray(rgba), "rgba")

    return write_film(path, frames(), "png", options={})


def test_a_portraits_cut_out_is_its_plates(
    portrait: ImageArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.avatar.matte.MatteCutter", None)  # measuring would fail
    alpha = outline(portrait.shape)
    folder = add_avatar(tmp_path, "a", with_alpha(tmp_path / "a.png", portrait, alpha), None, "mine")
    plate = load_avatar(folder).plate
    mattes = plate_mattes(folder, plate)
    assert len(mattes) == 1 and np.array_equal(mattes.frame(0), alpha)
    assert any("has its own alpha channel" in note for note in read_avatar_manifest(folder).notes)


def test_it_turns_with_a_portrait_that_lies(portrait: ImageArray, tmp_path: Path) -> None:
    alpha = outline(portrait.shape, 20)
    lying = with_alpha(tmp_path / "lying.png", turned(portrait, 3), turned(alpha, 3))
    folder = add_avatar(tmp_path, "a", lying, None, "mine")
    avatar = load_avatar(folder)
    mattes = own_cut_out(avatar.plate)
    assert mattes is not None and np.array_equal(mattes.frame(0), alpha)
    assert abs(avatar.face.pose.roll) < 20
    assert any("lies on its side" in note for note in read_avatar_manifest(folder).notes)


def test_a_bodys_cut_out_is_its_plates_frame_by_frame(portrait: ImageArray, tmp_path: Path) -> None:
    body = film(tmp_path / "body.mov", portrait)
    folder = add_avatar(tmp_path, "a", None, body, "mine", film=FilmChoice(keep=False, as_it_is=True))
    plate = load_avatar(folder).plate
    mattes = own_cut_out(plate)
    assert mattes is not None and len(mattes) == len(plate) >= 6
    for number in range(6):
        assert np.array_equal(mattes.frame(number), outline(portrait.shape, 2 * number))
    choose_again(tmp_path, "a", FilmChoice(still_s=0.0))
    again = own_cut_out(load_avatar(folder).plate)
    assert again is not None and np.array_equal(again.frame(5), outline(portrait.shape, 10)), (
        "also after another choice"
    )


def test_a_bodys_image_brings_its_cut_out_along(portrait: ImageArray, tmp_path: Path) -> None:
    Image.fromarray(portrait).save(tmp_path / "face.png")
    body = with_alpha(tmp_path / "body.png", portrait, outline(portrait.shape))
    folder = add_avatar(tmp_path, "a", tmp_path / "face.png", body, "mine")
    mattes = own_cut_out(load_avatar(folder).plate)
    assert mattes is not None and np.array_equal(mattes.frame(0), outline(portrait.shape))


def test_what_is_all_but_opaque_brings_none(portrait: ImageArray, tmp_path: Path) -> None:
    alpha = np.full(portrait.shape[:2], 255, np.uint8)
    alpha[:4, :4] = 0
    folder = add_avatar(tmp_path, "a", with_alpha(tmp_path / "a.png", portrait, alpha), None, "mine")
    assert own_cut_out(load_avatar(folder).plate) is None
    assert not (folder / CUT_OUTS).exists() and not (folder / CUT_OUT_INDEX).exists()


def test_a_frame_of_a_cut_out_that_is_damaged_is_opaque(tmp_path: Path) -> None:
    parts = [cv2.imencode(".png", np.zeros((side, side), np.uint8))[1].tobytes() for side in (8, 4)]
    parts += [b"\0" * 20, parts[0][:30], parts[0]]
    (tmp_path / CUT_OUTS).write_bytes(b"".join(parts))
    starts = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    mattes = PlateMattes(starts, (tmp_path / CUT_OUTS).open("rb"), (8, 8))
    assert [int(mattes.frame(number).max()) for number in range(5)] == [0, 255, 255, 255, 0]
    assert all(mattes.frame(number).shape == (8, 8) for number in range(5))
    starts[1] = -7
    assert mattes.frame(0).min() == 255


def test_a_damaged_index_of_a_cut_out_is_none(tmp_path: Path) -> None:
    with PlateFrameWriter(tmp_path) as frames:
        for _ in range(2):
            frames.add(SourceFrame(np.full((32, 32, 3), 90, np.uint8), np.full((32, 32), 7, np.uint8)))
    index = tmp_path / CUT_OUT_INDEX
    whole, starts = index.read_bytes(), cut_out_starts(tmp_path, 2)
    assert starts is not None and cut_out_starts(tmp_path, 3) is None
    locked = bytearray(whole)
    locked[6] = locked[whole.index(b"PK\1\2") + 8] = 1  # the archive's flag: encrypted
    for damaged in (b"", b"noise", whole[:100], bytes(locked), whole.replace(b"starts", b"stairs")):
        index.write_bytes(damaged)
        assert cut_out_starts(tmp_path, 2) is None
    for odd in (starts[::-1], starts + 1, starts[2], starts[:0], np.array(["a"] * 3)):
        np.savez(index, starts=odd, allow_pickle=False)
        assert cut_out_starts(tmp_path, 2) is None


def test_a_film_whose_alpha_begins_later_is_opaque_before(tmp_path: Path) -> None:
    rgb, alpha = np.full((32, 32, 3), 90, np.uint8), np.full((32, 32), 7, np.uint8)
    with PlateFrameWriter(tmp_path) as frames:
        for each in (None, None, alpha, None):
            frames.add(SourceFrame(rgb, each))
    starts = np.load(tmp_path / CUT_OUT_INDEX)["starts"]
    coded = (tmp_path / CUT_OUTS).read_bytes()
    read = [
        np.asarray(cv2.imdecode(np.frombuffer(coded[first:end], np.uint8), cv2.IMREAD_GRAYSCALE))[0, 0]
        for first, end in pairwise(starts)
    ]
    assert [int(each) for each in read] == [255, 255, 7, 255] and frames.clear > 0.2


@pytest.mark.parametrize(
    ("quarters", "says"), [(1, "lies on its side"), (2, "is upside down"), (3, "lies on its side")]
)
def test_a_portrait_that_lies_is_turned_and_noted(
    portrait: ImageArray, tmp_path: Path, quarters: int, says: str
) -> None:
    Image.fromarray(turned(portrait, quarters)).save(tmp_path / "lying.png")
    folder = add_avatar(tmp_path, "a", tmp_path / "lying.png", None, "mine")
    avatar = load_avatar(folder)
    assert avatar.plate.width == avatar.plate.height == 640 and abs(avatar.face.pose.roll) < 20
    assert any(says in note and "lying.png" in note for note in read_avatar_manifest(folder).notes)


def test_a_face_between_upright_and_lying_is_refused(portrait: ImageArray) -> None:
    matrix = cv2.getRotationMatrix2D((320, 240), 55, 0.8)
    leaning = cv2.warpAffine(portrait, matrix, (640, 640), borderMode=cv2.BORDER_REPLICATE)
    with pytest.raises(StudioError, match=r"The face in a\.png is tilted by \d\d degrees; rotate the image"):
        read_portrait(np.asarray(leaning, np.uint8), "a.png")
