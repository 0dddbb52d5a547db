"""The compiled loops compute what their source computes, also for the extreme values of every input."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compositing.kernel import OPAQUE, blend_held, blend_planes, coefficients, yuv_rows

WIDTH, HEIGHT = 8, 6
MATCHES = [
    ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), ((1.6, 1.6, 1.6), (60.0, 40.0, 40.0)), ((0.4, 0.4, 0.4), (-60.0, -40.0, -40.0)),
]  # fmt: skip


def numbers(shape: tuple[int, ...], seed: int, low: int = 0, high: int = 256) -> NDArray[np.uint8]:
    """Return random numbers, with the lowest in the first place and the highest in the last."""
    made = np.random.default_rng(seed).integers(low, high, shape).astype(np.uint8)
    made.reshape(-1)[0], made.reshape(-1)[-1] = low, high - 1
    return made


def given(seed: int) -> tuple[list[NDArray[np.uint8]], NDArray[np.uint32]]:
    """Return the planes of a frame, and a patch to blend over them."""
    half = HEIGHT // 2, WIDTH // 2
    over = [numbers((HEIGHT, WIDTH), seed, 16, 236), *(numbers(half, seed + n, 16, 241) for n in (1, 2))]
    patch = numbers((HEIGHT, WIDTH, 4), seed + 3)
    patch[0], patch[-1] = 255, 0
    return over, patch.view(np.uint32)[..., 0]


def both(
    loop: Any, over: list[NDArray[np.uint8]], *args: Any
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Return what the compiled loop makes of copies of the planes, and what the same loop makes in Python."""
    compiled, plain = ([plane.copy() for plane in over] for _ in range(2))
    loop(*compiled, *args)
    loop.py_func(*plain, *args)
    return compiled, plain


@pytest.mark.parametrize("opacity", [0, 1, 100, 255, OPAQUE])
@pytest.mark.parametrize("match", MATCHES)
def test_no_number_is_too_large_for_the_compiled_loop(match: tuple[Any, Any], opacity: int) -> None:
    over, patch = given(opacity)
    rows = coefficients(yuv_rows(np.array(match[0]), np.array(match[1])))
    compiled, plain = both(blend_planes, over, patch, np.int32(opacity), rows)
    for mine, wanted in zip(compiled, plain, strict=True):
        assert np.array_equal(mine, wanted)
        assert mine.min() >= 16 and mine.max() <= 240


@pytest.mark.parametrize("opacity", [0, 100, OPAQUE])
@pytest.mark.parametrize("match", MATCHES)
def test_nor_for_the_one_that_holds_the_plate(match: tuple[Any, Any], opacity: int) -> None:
    over, patch = given(opacity)
    field = numbers((HEIGHT, WIDTH, 4), 9).view(np.uint32)[..., 0]
    rows, limits = (
        coefficients(yuv_rows(np.array(match[0]), np.array(match[1]))),
        np.array([150, 9, 700, 25, 100], np.int32),
    )
    held = np.zeros((HEIGHT // 2, WIDTH), np.uint8)
    # `held` is scratch space: both loops share it, because each writes it before reading it.
    compiled, plain = both(blend_held, over, patch, np.int32(opacity), rows, field, limits, held)
    for mine, wanted in zip(compiled, plain, strict=True):
        assert np.array_equal(mine, wanted)
        assert mine.min() >= 16 and mine.max() <= 240


def test_where_the_plate_is_held_a_large_change_is_none() -> None:
    """Where the plate is fully held and the face differs much, the plate stays; where it is not, the face shows."""
    half = HEIGHT // 2, WIDTH // 2
    patch = np.full((HEIGHT, WIDTH, 4), 255, np.uint8).view(np.uint32)[..., 0]
    rows, limits = coefficients(yuv_rows(np.ones(3), np.zeros(3))), np.array([255, 9, 700, 25, 100], np.int32)
    for hold, luma in ((255, 60), (0, 235)):
        over = [np.full((HEIGHT, WIDTH), 60, np.uint8), np.full(half, 128, np.uint8), np.full(half, 128, np.uint8)]
        field = np.full((HEIGHT, WIDTH, 4), (128, 128, 128, hold), np.uint8).view(np.uint32)[..., 0]
        args = np.int32(OPAQUE), rows, field, limits, np.zeros((HEIGHT // 2, WIDTH), np.uint8)
        compiled, _ = both(blend_held, over, patch, *args)
        assert np.abs(compiled[0].astype(int) - luma).max() <= 2
