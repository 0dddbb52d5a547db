"""The faces of a filmed body are measured once, stored, and bridged only over short gaps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.filmed_body import CALM, SCALE, TALK, filmed_body, gap_at
from shared.avatar.body_faces import (
    ABSENT,
    FILE,
    STEP_PX,
    PackedShape,
    bridge,
    kept_body_faces,
    save_body_faces,
    smooth_faces,
)
from shared.face import similarity

pytestmark = pytest.mark.apart


def test_faces_are_where_the_film_has_them_and_open_as_it_does() -> None:
    body = filmed_body()
    found = kept_body_faces(body)
    assert len(found) == len(found.seen()) == CALM + TALK
    gaps, wanted = found.gaps(), np.array([gap_at(index) for index in range(len(found))])
    assert np.corrcoef(gaps, wanted)[0, 1] > 0.95 and gaps[wanted == 0].max() < 0.03
    face = found.face(0)
    assert face is not None
    away = face.middle - body.face.middle
    assert np.linalg.norm(away) < 0.1 * body.face.eye_distance
    there = similarity.apply_similarity(body.plate.placements[0], face.points[:, :2])
    assert (there >= 0).all() and (there < (body.plate.width, body.plate.height)).all()


def test_they_are_measured_once_and_a_damaged_file_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = filmed_body()
    kept = kept_body_faces(body)
    told: list[int] = []
    assert np.array_equal(kept_body_faces(body, lambda done, total: told.append(done)).points, kept.points)
    assert not told, "measured a second time"
    (tmp_path / FILE).write_bytes((body.folder / FILE).read_bytes()[:-100])
    again = kept_body_faces(replace(body, folder=tmp_path), lambda done, total: told.append(done))
    assert told == list(range(1, CALM + TALK + 1)) and np.array_equal(again.points, kept.points)


def test_short_gaps_are_bridged_and_long_ones_stay() -> None:
    points = np.zeros((30, 478, 3), np.int16) + np.arange(30, dtype=np.int16)[:, None, None] * 32
    points[4:7] = points[12:20] = points[:2] = ABSENT
    bridge(points, 5)
    assert points[4:7, 0, 0].tolist() == [128, 160, 192]
    assert (points[12:20] == ABSENT).all() and (points[:2] == ABSENT).all()


def test_nothing_is_bridged_over_a_cut() -> None:
    points = np.zeros((30, 478, 3), np.int16) + np.arange(30, dtype=np.int16)[:, None, None] * 32
    points[4:7] = points[12:14] = points[20:22] = ABSENT
    bridge(points, 5, cuts=[5, 14])  # within the first gap, and at the end of the second
    assert (points[4:7] == ABSENT).all() and (points[12:14] == ABSENT).all()
    assert (points[20:22] != ABSENT).all(), "a gap within one shot"


@pytest.mark.parametrize("apart", [True, False])
def test_a_plates_cuts_part_what_is_measured_of_it(tmp_path: Path, apart: bool) -> None:
    """Faces are not smoothed across a cut of the plate, where the face jumps within the ROI.

    The images do not show this cut: unless the plate lists it, both sides count as one shot.
    """
    body, cut = filmed_body(), 8
    there = body.plate.placements.copy()
    there[cut:, 0, 2] += 6.0  # from here on, the face is 10 ROI pixels further to the left
    plate = replace(body.plate, placements=there, cuts=np.array([cut] if apart else [], np.int64))
    left = kept_body_faces(replace(body, folder=tmp_path, plate=plate)).points[:, 10, 0] * STEP_PX
    whole = kept_body_faces(body).points[:, 10, 0] * STEP_PX
    away = whole - left - np.where(np.arange(CALM + TALK) < cut, 0, 6.0 / SCALE)
    assert (float(np.abs(away[cut - 2 : cut + 2]).max()) < 1.5) == apart


def test_what_is_kept_of_a_film_as_it_is_followed_stops_at_its_cuts_too(tmp_path: Path) -> None:
    face, count, cut = filmed_body().face, 24, 12
    aside = face.moved(np.array([[1.0, 0.0, 10.0], [0.0, 1.0, 0.0]]))
    shapes = [
        None if number in (5, 11, 12) else PackedShape.of(face if number < cut else aside) for number in range(count)
    ]
    still = np.tile(np.eye(2, 3), (count, 1, 1))
    save_body_faces(tmp_path, shapes, still, np.ones(count), [cut], 25.0)
    found = np.load(tmp_path / FILE)[:, 10, 0]
    assert (found[[11, 12]] == ABSENT).all(), "bridged over the cut"
    kept = np.delete(found, [11, 12]) * STEP_PX - face.points[10, 0] - np.delete(np.repeat([0.0, 10.0], cut), [11, 12])
    assert np.abs(kept).max() < 0.1, "one shot's face is drawn towards the other's"


def test_smoothing_in_blocks_is_smoothing_of_the_whole_and_stops_at_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, face = np.random.default_rng(3), filmed_body().face.points * 32
    steady = np.repeat(face[None], 120, axis=0)
    steady[70:, :, 0] += 300.0  # another shot, with the face a little aside
    whole = np.rint(steady + chance.normal(0, 20, steady.shape)).astype(np.int16)
    parts, noisy = whole.copy(), whole - steady
    smooth_faces(whole, 25.0, cuts=[70])
    monkeypatch.setattr("shared.avatar.body_faces.BLOCK_FRAMES", 40)
    smooth_faces(parts, 25.0, cuts=[70])
    assert np.array_equal(whole, parts)
    left = whole - steady
    assert left[:, 10].std() < 0.7 * noisy[:, 10].std(), "nothing was smoothed"
    assert np.abs(left[66:74]).max() < 100, "one shot's face is drawn towards the other's"
