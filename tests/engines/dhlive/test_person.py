"""A person is exported to the published format and imported again; a broken asset is one sentence."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.dhlive.asset.exchange import VIDEO, export_asset, import_asset
from engines.dhlive.asset.person import FILE, Person, person_bytes, read_person, reprojection_px, write_person
from engines.dhlive.asset.placement import fitted, place_heads
from engines.dhlive.generation import Generation
from harness.tiny.dhlive import landmarks_of, placement, stand_in_mesh
from shared.errors import StudioError
from shared.media.reader import VideoReader
from tests.support.engines.dhlive_material import BODY_FRAMES, filmed, folder

FRAMES = 5


def person(generation: Generation = Generation.MINI2) -> Person:
    matrices = np.stack([np.round(placement(generation.geometry.crop, yaw=n, shift=(n, 0)), 5) for n in range(FRAMES)])
    count = {Generation.MINI2: 80, Generation.MINI1: 6480}[generation]
    return Person(
        uid="matesx_of_a_test",
        mesh=stand_in_mesh(),
        reference=np.round(np.random.default_rng(1).normal(0, 1, count), 6),
        rects=np.array([[100 + n, 120, 300 + n, 320] for n in range(FRAMES)], np.int64),
        matrices=matrices,
        landmarks=np.stack([landmarks_of(stand_in_mesh(), each) for each in matrices]).astype(np.float64).round(1),
        version=1 if generation is Generation.MINI2 else None,
    )


def table(of: Person) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(person_bytes(of)))
    return found


def written(path: Path, content: object) -> Path:
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


@pytest.mark.parametrize("generation", (Generation.MINI2, Generation.MINI1))
def test_what_the_format_defines_comes_back_to_the_byte(generation: Generation, tmp_path: Path) -> None:
    raw = gzip.decompress(person_bytes(person(generation)))
    write_person(tmp_path / FILE, person(generation))
    again = read_person(tmp_path / FILE)
    assert again.generation is generation
    assert gzip.decompress(person_bytes(again)) == raw


def test_the_format_is_the_published_one() -> None:
    held = table(person())
    keys = ["uid", "frame_num", "face3D_obj", "ref_data", "json_data", "authorized", "size", "version"]
    assert list(held) == keys and held["size"] == 184 and held["frame_num"] == FRAMES
    assert (
        len(held["face3D_obj"]) == 727 and held["face3D_obj"][0].startswith("v ") and held["face3D_obj"][-1][0] == "f"
    )
    points = held["json_data"][2]["points"]
    x, y = (np.array([*stand_in_mesh().vertices[7], 1.0]) @ np.reshape(points[:16], (4, 4)))[:2]
    assert (x, y) == pytest.approx(points[16 + 14 : 16 + 16], abs=0.1)
    assert list(table(person(Generation.MINI1))) == keys[:-2]


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no table": (lambda held: [1], "holds no table"),
    "a missing part": (lambda held: {k: v for k, v in held.items() if k != "ref_data"}, "there is no 'ref_data'"),
    "frames missing": (lambda held: held | {"frame_num": 7}, "not the one that it states"),
    "points missing": (lambda held: held | {"json_data": [{"rect": [0, 0, 9, 9], "points": [1.0] * 400}] * FRAMES},
        "unexpected numbers"),
    "a style of another network": (lambda held: held | {"ref_data": [0.5] * 12}, "64 or 80 or 6480 numbers, not 12"),
    "a crop that is none": (lambda held: _rects(held, [10, 10, 5, 5]), "squares within a film"),
    "another size": (lambda held: held | {"size": 96}, "crops are of 96"),
    "a word for a number": (lambda held: held | {"ref_data": ["x"] * 80}, "could not convert"),
    "infinite": (lambda held: held | {"ref_data": [float("inf")] * 80}, "not numbers"),
    "another mesh": (lambda held: held | {"face3D_obj": held["face3D_obj"][:100]}, "100 vertices and 0 triangles"),
}  # fmt: skip


def _rects(held: dict[str, Any], rect: list[int]) -> dict[str, Any]:
    return held | {"json_data": [frame | {"rect": rect} for frame in held["json_data"]]}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_asset_is_one_sentence(how: str, tmp_path: Path) -> None:
    change, said = BROKEN[how]
    with pytest.raises(StudioError, match=said) as refused:
        read_person(written(tmp_path / FILE, change(table(person()))))
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")


@pytest.mark.parametrize("raw", (b"", b"\x1f\x8b\x08\x00damaged", b"<html>"))
def test_a_damaged_file_is_one_sentence(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(raw)
    with pytest.raises(StudioError, match="is not a DH_live person"):
        read_person(tmp_path / FILE)


def test_a_published_film_plays_forward_and_backward() -> None:
    assert [person().of_plate(index) for index in range(11)] == [0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 0]


def test_a_placement_is_found_again() -> None:
    """For a head that turns, the map that was used is found even from a short film."""
    mean = stand_in_mesh().vertices
    wanted = np.stack([placement(184, yaw=n / 2, shift=(n, -n)) for n in range(12)])
    faces = np.stack([mean @ each[:3, :3].T + each[:3, 3] for each in wanted])
    assert np.abs(fitted(mean, faces[3]) - wanted[3]).max() < 1e-9
    found, personal = place_heads(faces, mean)
    assert np.abs(personal - mean).max() < 1e-6
    assert np.abs(found - wanted)[:, :3, :3].max() < 1e-3 and np.abs(found - wanted).max() < 0.2


@pytest.mark.apart
def test_an_avatar_goes_out_as_an_asset_and_comes_back(tmp_path: Path) -> None:
    export_asset(filmed(), tmp_path / "asset")
    with VideoReader(tmp_path / "asset" / VIDEO) as video:
        frames = [image for _, image in video]
    assert len(frames) == 2 * BODY_FRAMES
    for number, image in enumerate(frames):
        bits = [int(image[bit // 2, -1 - bit % 2].mean() > 127) << bit for bit in range(4)]
        assert sum(bits) == number % 16
    home = folder()
    back = import_asset(tmp_path / "asset", home, "back", "a test")
    kept = filmed().engine_file("dhlive", FILE)
    assert gzip.decompress((back / f"dhlive-{FILE}").read_bytes()) == gzip.decompress(kept.read_bytes())
    assert reprojection_px(read_person(kept)) < 1.2
    write_person(tmp_path / "asset" / FILE, person())
    with pytest.raises(StudioError, match="measured in another film"):
        import_asset(tmp_path / "asset", home, "other", "a test")
    assert not (home / "avatars" / "other").exists()
