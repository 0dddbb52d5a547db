"""The measure of the seam, on a face of one colour with marks whose effect is known."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.composite.pairings import BOUNDS, files_of, verdict
from benchmarks.composite.seam import measure_seam
from shared.avatar.detail import relative_detail
from shared.errors import StudioError
from shared.face import similarity
from shared.face.landmarks import Face
from shared.media.array_types import ImageArray
from tests.support.engines.mesh_material import avatar
from tests.support.files.image_files import jpeg

SKIN = (200, 160, 140)
SIDE = 256


@cache
def face() -> Face:
    return avatar().face.moved(similarity.resize_matrix(0.5, 0.5))


def skin(colour: tuple[int, int, int] = SKIN) -> ImageArray:
    return np.full((SIDE, SIDE, 3), colour, np.uint8)


def cheek(plate: ImageArray) -> tuple[slice, slice]:
    """Return a region well inside the bare skin left of the mouth."""
    x, y = face().points[[50, 205, 187, 147], :2].mean(axis=0).round().astype(int)
    return np.s_[y - 12 : y + 12, x - 12 : x + 12]


@pytest.mark.parametrize(
    ("colour", "mark"),
    [((90, 72, 63), "darker"), ((255, 250, 240), "lighter"), ((190, 175, 100), "discoloured"), ((185, 148, 130), "")],
)
def test_what_is_painted_on_bare_skin_is_measured(colour: tuple[int, int, int], mark: str) -> None:
    plate, shown = skin(), skin()
    shown[cheek(plate)] = colour
    seam = measure_seam(plate, shown, face(), face())
    assert seam is not None
    painted = np.zeros((SIDE, SIDE), bool)
    painted[cheek(plate)] = True
    share = np.count_nonzero(painted & seam.bare) / np.count_nonzero(seam.bare)
    assert share > 0.02
    for name in ("darker", "lighter", "discoloured"):
        wanted = share if name == mark else 0.0
        if not (name == "discoloured" and mark in ("darker", "lighter")):  # paler or deeper skin can be discoloured too
            assert getattr(seam, name) == pytest.approx(wanted, abs=0.25 * share), name


def test_features_and_what_is_dark_on_the_plate_are_left_out() -> None:
    plate, shown = skin(), skin()
    x, y = face().points[[13, 14], :2].mean(axis=0).round().astype(int)
    shown[y - 8 : y + 8, x - 12 : x + 12] = 0
    plate[cheek(plate)], shown[cheek(plate)] = (60, 50, 40), SKIN
    seam = measure_seam(plate, shown, face(), face())
    assert seam is not None
    assert seam.darker == seam.lighter == seam.discoloured == 0


def test_the_shown_faces_features_are_left_out_too() -> None:
    shown, away = skin(), face().moved(np.array([[1.0, 0, 0], [0, 1, 30]]))
    x, y = away.points[[13, 14], :2].mean(axis=0).round().astype(int)
    shown[y - 8 : y + 8, x - 12 : x + 12] = 0
    there, here = (measure_seam(skin(), shown, face(), each) for each in (away, face()))
    assert there is not None and here is not None
    assert there.darker < 0.01 < here.darker


def test_sharpness_falls_with_blur_and_not_with_light() -> None:
    noise = np.random.default_rng(1).integers(0, 60, (SIDE, SIDE, 1)).astype(np.uint8)
    sharp = np.asarray(120 + cv2.GaussianBlur(np.repeat(noise, 3, axis=2), (0, 0), 0.7), np.uint8)
    own = relative_detail(sharp, face())
    assert relative_detail(np.asarray(sharp * 0.7, np.uint8), face()) == pytest.approx(own, rel=0.05)
    assert relative_detail(np.asarray(cv2.GaussianBlur(sharp, (0, 0), 0.7), np.uint8), face()) < 0.8 * own


def test_a_pairing_holds_only_within_every_bound() -> None:
    within = {name: (low + high) / 2 for name, (low, high) in BOUNDS.items()}
    assert verdict(within) == "holds"
    for name, (low, high) in BOUNDS.items():
        for value in (low - 0.01, high + 0.01):
            assert verdict(within | {name: value}) == "exceeds", name


def test_a_folder_or_a_pattern_names_files(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not an image", encoding="utf-8")
    for name in ("b.PNG", "a"):
        (tmp_path / name).write_bytes(jpeg())
    assert [each.name for each in files_of(str(tmp_path), "portrait", "image")] == ["a", "b.PNG"]
    assert [each.name for each in files_of(str(tmp_path / "a*"), "portrait", "image", "film")] == ["a"]
    with pytest.raises(StudioError, match="There is no portrait in"):
        files_of(str(tmp_path / "x*"), "portrait", "image")
    with pytest.raises(StudioError, match="There is no portrait in"):
        files_of(str(tmp_path), "portrait", "film")
