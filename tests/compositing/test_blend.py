"""Blending is within two levels of floating point, and changes no pixel outside the box."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from compositing.blend import NOWHERE, Blender
from shared.avatar.mask import own_mask
from shared.avatar.model import load_avatar
from shared.avatar.skin import RGB_TO_YUV, YUV_BASE
from shared.media.array_types import ImageArray
from shared.media.colour import i420_to_rgb, planes

WIDTH, HEIGHT = 640, 480


@pytest.fixture
def plate() -> ImageArray:
    noise = np.random.default_rng(6).integers(16, 236, (HEIGHT * 3 // 2, WIDTH)).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8)


@pytest.fixture
def roi() -> NDArray[np.uint8]:
    noise = np.random.default_rng(7).integers(0, 256, (512, 512, 3)).astype(np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.asarray(cv2.normalize(blurred, np.empty_like(blurred), 10, 245, cv2.NORM_MINMAX), np.uint8)


def turned(scale: float, degrees: float, x: float, y: float) -> NDArray[np.float64]:
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


def reference(
    plate: ImageArray,
    roi: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    placement: NDArray[np.float64],
    gains: NDArray[np.float64],
    offsets: NDArray[np.float64],
    opacity: float,
) -> list[NDArray[np.float64]]:
    """Blend the whole frame in floating point in the obvious way; return Y, U and V."""
    whole = cv2.warpAffine(roi.astype(np.float32), placement, (WIDTH, HEIGHT))
    cover = cv2.warpAffine(mask.astype(np.float32), placement, (WIDTH, HEIGHT))
    # The ROI is transparent at its rim; the black around the ROI must not darken the colour there.
    rim = cv2.warpAffine(np.ones(mask.shape, np.float32), placement, (WIDTH, HEIGHT))
    whole = whole / np.maximum(rim, 1e-3)[..., None]
    yuv = (whole.astype(np.float64) @ RGB_TO_YUV.T + YUV_BASE - 128) * gains + 128 + offsets
    alpha = cover.astype(np.float64) / 255 * opacity
    out = []
    for channel, plane in enumerate(planes(plate)):
        value, weight = yuv[..., channel], alpha
        if channel:
            value, weight = (
                np.asarray(cv2.resize(each, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float64)
                for each in (value, weight)
            )
        value = np.clip(value, 16, 235 if channel == 0 else 240)
        out.append(plane * (1 - weight) + value * weight)
    return out


@pytest.mark.parametrize("scale", [0.62, 0.8, 1.0])
@pytest.mark.parametrize("opacity", [1.0, 0.4])
def test_it_is_within_two_levels_of_floating_point(
    plate: ImageArray, roi: NDArray[np.uint8], scale: float, opacity: float
) -> None:
    placement = turned(scale, 4.0, 61.3, 12.7)
    gains, offsets = np.array([0.9, 1.2, 0.8]), np.array([6.0, -3.0, 2.5])
    out = plate.copy()
    Blender(own_mask()).place(out, roi, placement, gains, offsets, opacity)
    for mine, wanted in zip(
        planes(out), reference(plate, roi, own_mask(), placement, gains, offsets, opacity), strict=True
    ):
        assert np.abs(mine - wanted).max() <= 2.0


def test_nothing_outside_the_box_changes(plate: ImageArray, roi: NDArray[np.uint8]) -> None:
    out = plate.copy()
    x, y, w, h = Blender(own_mask()).place(out, roi, turned(0.5, 10.0, 150.4, 90.6))
    assert x % 2 == y % 2 == w % 2 == h % 2 == 0 and w < WIDTH and h < HEIGHT
    for before, after, half in zip(planes(plate), planes(out), (1, 2, 2), strict=True):
        inside = np.zeros(before.shape, bool)
        inside[y // half : (y + h) // half, x // half : (x + w) // half] = True
        assert np.array_equal(before[~inside], after[~inside])
        assert (before[inside] != after[inside]).mean() > 0.5


def test_the_box_is_no_larger_than_the_mask_needs(plate: ImageArray, roi: NDArray[np.uint8]) -> None:
    mask = np.zeros((512, 512), np.uint8)
    mask[200:300, 220:280] = 255
    assert Blender(mask).place(plate, roi, np.eye(2, 3)) == (218, 198, 64, 104)


@pytest.mark.parametrize(("x", "y"), [(-200, -300), (500, 300), (-100, 200), (200, -400)])
def test_a_face_partly_outside_is_clipped(plate: ImageArray, roi: NDArray[np.uint8], x: float, y: float) -> None:
    placement = turned(1.0, 0.0, x, y)
    out = plate.copy()
    left, top, w, h = Blender(own_mask()).place(out, roi, placement)
    assert left >= 0 and top >= 0 and left + w <= WIDTH and top + h <= HEIGHT and w and h
    wanted = reference(plate, roi, own_mask(), placement, np.ones(3), np.zeros(3), 1.0)
    assert np.abs(planes(out)[0] - wanted[0]).max() <= 2.0


@pytest.mark.parametrize(
    "placement",
    [
        turned(1.0, 0.0, 5000, 0),
        turned(1.0, 0.0, -1e12, 0),
        np.full((2, 3), np.nan),
        np.array([[1.0, 0, np.inf], [0, 1, 0]]),
        np.zeros((2, 3)),
        turned(1e6, 0.0, 0, 0),
        np.eye(3),
    ],
)
def test_a_placement_that_shows_nothing_changes_nothing(
    plate: ImageArray, roi: NDArray[np.uint8], placement: NDArray[np.float64]
) -> None:
    out = plate.copy()
    assert Blender(own_mask()).place(out, roi, placement) == NOWHERE
    assert np.array_equal(out, plate)


@pytest.mark.parametrize("opacity", [0.0, -1.0, float("nan")])
def test_without_opacity_nothing_changes(plate: ImageArray, roi: NDArray[np.uint8], opacity: float) -> None:
    out = plate.copy()
    assert Blender(own_mask()).place(out, roi, turned(0.5, 0, 50, 50), opacity=opacity) == NOWHERE
    assert np.array_equal(out, plate)


def test_a_matte_replaces_the_mask(plate: ImageArray, roi: NDArray[np.uint8]) -> None:
    matte = np.zeros((512, 512), np.uint8)
    matte[100:200, 300:420] = 255
    by_matte, by_mask = plate.copy(), plate.copy()
    box = Blender(own_mask()).place(by_matte, np.dstack([roi, matte]), np.eye(2, 3))
    assert box == Blender(matte).place(by_mask, roi, np.eye(2, 3))
    assert np.array_equal(by_matte, by_mask)


@pytest.mark.parametrize("size", [256, 511, 768])
def test_a_roi_of_another_size_lands_in_the_same_place(plate: ImageArray, roi: NDArray[np.uint8], size: int) -> None:
    flat = np.zeros((512, 512, 3), np.uint8)
    cv2.circle(flat, (300, 200), 60, (255, 255, 255), -1, cv2.LINE_AA)
    flat = np.asarray(cv2.GaussianBlur(flat, (0, 0), 6), np.uint8)
    other = np.asarray(
        cv2.resize(flat, (size, size), interpolation=cv2.INTER_AREA if size < 512 else cv2.INTER_LINEAR), np.uint8
    )
    blender, placement = Blender(own_mask()), turned(0.7, 5.0, 80, 30)
    a, b = plate.copy(), plate.copy()
    blender.place(a, flat, placement)
    blender.place(b, other, placement)
    inside = np.s_[130:300, 180:420]
    assert cv2.PSNR(planes(a)[0][inside], planes(b)[0][inside]) > 38


def test_a_shrunken_face_does_not_alias(plate: ImageArray) -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than the placed frame can show: it must come out grey
    out = plate.copy()
    Blender(np.full((512, 512), 255, np.uint8)).place(out, stripes, turned(0.3, 0.0, 100, 100))
    assert planes(out)[0][110:240, 110:240].std() < 20  # without averaging, the deviation is 60


def test_the_portrait_on_its_own_frame_is_invisible(sample_home) -> None:  # type: ignore[no-untyped-def]
    avatar = load_avatar(sample_home / "avatars" / "sample")
    plate = avatar.plate.frame(0)
    out = plate.copy()
    x, y, w, h = Blender(avatar.mask).place(
        out, avatar.roi, avatar.plate.placements[0], avatar.plate.gains[0], avatar.plate.offsets[0]
    )
    before, after = (i420_to_rgb(each)[y : y + h, x : x + w] for each in (plate, out))
    assert w > 300 and cv2.PSNR(before, after) > 40
