"""A face on a foreign body takes the light of that body, and is held back from its skin."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from compositing.blend import Blender
from compositing.compose import Composer
from compositing.kernel import OPAQUE, blend_held, blend_planes, coefficients, yuv_rows
from compositing.light import LightMatch
from shared.avatar.model import Avatar, load_avatar
from shared.face import similarity
from shared.media.array_types import ImageArray
from shared.media.colour import i420_to_rgb, planes, rgb_to_i420
from tests.support.engines.mesh_material import avatar

SIDE = 512
PLACEMENT = similarity.resize_matrix(1.0, 1.0)
SKIN = np.array([190, 150, 130])


@cache
def foreign() -> Avatar:
    return avatar(own_plate=False)


@cache
def light() -> LightMatch:
    return LightMatch(foreign())


def image(colour: NDArray[np.floating]) -> ImageArray:
    """Return (512, 512, 3) uint8 RGB of one colour, or of one colour per column."""
    return np.asarray(np.broadcast_to(np.rint(colour), (SIDE, SIDE, 3)), np.uint8).copy()


def placed(plate: ImageArray, roi: ImageArray) -> tuple[ImageArray, ImageArray]:
    """Return (512, 512, 3) uint8 RGB twice: the plate as the frame has it, and with the ROI placed on it."""
    program = rgb_to_i420(plate)
    before = i420_to_rgb(program)
    Blender(foreign().mask, light()).place(program, roi, PLACEMENT)
    return before, i420_to_rgb(program)


def around(points: list[int], by: int) -> tuple[slice, slice]:
    x, y = foreign().face.points[points, :2].mean(axis=0).round().astype(int)
    return np.s_[y - by : y + by, x - by : x + by]


CHEEK, FOREHEAD, MOUTH = ([50, 187, 147], 8), ([10, 109, 338], 6), ([13, 14], 5)


def test_the_plates_gradient_holds_across_a_face_lit_evenly() -> None:
    ramp = np.linspace(0.65, 1.25, SIDE)[None, :, None] * SKIN
    before, after = placed(image(ramp), image(0.8 * SKIN))
    left, right, middle = (around(points, 6) for points in ([50, 187], [280, 411], [168, 6]))
    for where in (left, right, middle):
        assert np.abs(after[where].mean(axis=(0, 1)) - before[where].mean(axis=(0, 1))).max() < 10
    assert after[right].mean() > 1.15 * after[left].mean()


def test_detail_stays_the_portraits_own() -> None:
    blobs = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 1, (SIDE, SIDE)), (0, 0), 9)
    roi = np.clip((blobs / blobs.std() * 12)[..., None] + SKIN, 0, 255).astype(np.uint8)
    _, after = placed(image(SKIN * 1.1), roi)
    where = around([168, 6], 30)
    own, shown = (each[where][..., 1].astype(float) for each in (roi, after))
    assert np.corrcoef(own.ravel(), shown.ravel())[0, 1] > 0.95
    assert shown.std() == pytest.approx(own.std() * 1.1, rel=0.25)


@pytest.mark.parametrize("colour", [(20, 15, 10), (255, 255, 255), (60, 150, 230)])
def test_what_is_no_skin_on_the_portrait_leaves_the_plates_skin(colour: tuple[int, int, int]) -> None:
    roi = image(SKIN)
    for points, by in (CHEEK, FOREHEAD, MOUTH):
        roi[around(points, by)] = colour
    before, after = placed(image(SKIN), roi)
    for points, by in (CHEEK, FOREHEAD):
        where = around(points, by - 2)
        assert np.abs(after[where].astype(int) - before[where]).max() < 12
    where = around(*MOUTH)
    assert np.abs(after[where].astype(int) - before[where]).mean() > 40, "a mouth is the portrait's"


def test_the_light_of_a_plate_frame_is_measured_once_and_the_pixels_are_the_same() -> None:
    ramp = np.linspace(0.65, 1.25, SIDE)[None, :, None] * SKIN
    first, other = rgb_to_i420(image(ramp)), rgb_to_i420(image(SKIN * 0.6))
    blender = Blender(foreign().mask, LightMatch(foreign()))

    def with_face(program: ImageArray, frame: int | None) -> ImageArray:
        out = program.copy()
        blender.place(out, image(0.8 * SKIN), PLACEMENT, frame=frame)
        return out

    wanted, another = (with_face(each, None) for each in (first, other))
    for _ in range(2):
        assert np.array_equal(with_face(first, 3), wanted)
        assert np.array_equal(with_face(other, 4), another)
    assert not np.array_equal(with_face(other, 3), another), "it was measured a second time"


def test_a_strand_of_the_plates_hair_stays_in_front() -> None:
    plate = image(SKIN)
    plate[around(*FOREHEAD)] = (30, 22, 18)
    before, after = placed(plate, image(SKIN))
    where = around(FOREHEAD[0], FOREHEAD[1] - 2)
    assert np.abs(after[where].astype(int) - before[where]).max() < 12


def test_without_skin_to_measure_it_is_placed_as_it_is() -> None:
    plate = np.zeros((SIDE * 3 // 2, SIDE), np.uint8)
    roi = np.dstack([image(SKIN), np.zeros((SIDE, SIDE), np.uint8)])
    roi[240:260, 240:260, 3] = 255
    with_light, without = plate.copy(), plate.copy()
    Blender(foreign().mask, light()).place(with_light, roi, PLACEMENT)
    Blender(foreign().mask).place(without, roi, PLACEMENT)
    assert np.array_equal(with_light, without)


@pytest.mark.parametrize("scale", [0.2, 0.45, 0.8, 1.6])
def test_faces_of_all_sizes_fit(scale: float) -> None:
    side = round(SIDE * scale / 2) * 2
    program = rgb_to_i420(np.asarray(cv2.resize(image(SKIN * 0.7), (side, side)), np.uint8))
    before = i420_to_rgb(program)
    Blender(foreign().mask, light()).place(program, image(SKIN), similarity.resize_matrix(scale, scale))
    assert np.abs(i420_to_rgb(program).astype(int) - before).max() < 8


def test_a_neutral_field_blends_as_without_one() -> None:
    rng = np.random.default_rng(3)
    program = rng.integers(16, 236, (96, 64)).astype(np.uint8)
    patch = rng.integers(0, 256, (64, 64, 4)).astype(np.uint8).view(np.uint32)[..., 0]
    field = np.full((64, 64, 4), (128, 128, 128, 0), np.uint8).view(np.uint32)[..., 0]
    rows, mine, plain = coefficients(yuv_rows(np.ones(3), np.zeros(3))), program.copy(), program.copy()
    limits, held = np.array([255, 0, 256, 0, 256], np.int32), np.empty((32, 64), np.uint8)
    blend_held(*planes(mine), patch, np.int32(OPAQUE), rows, field, limits, held)
    blend_planes(*planes(plain), patch, np.int32(OPAQUE), rows)
    assert np.abs(mine.astype(int) - plain).max() <= 1


def test_the_plates_own_pixels_are_not_fitted_to_its_light(sample_home: Path) -> None:
    body = load_avatar(sample_home / "avatars" / "sample-video")
    composer, roi, plate = Composer(body), (body.roi * 0.6).astype(np.uint8), body.plate
    as_it_is = composer.background(0)
    Blender(body.mask).place(as_it_is, roi, plate.placements[0])
    own, foreign_face = (
        composer.compose(composer.background(0), 0, roi, 1.0, own=each).frame for each in (True, False)
    )
    assert np.array_equal(own, as_it_is)
    assert np.abs(foreign_face.astype(int) - as_it_is).max() > 30
