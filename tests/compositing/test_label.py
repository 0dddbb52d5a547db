"""The label: readable, in its corner, at any frame size; and the soft transition."""

import numpy as np
import pytest
from numpy.typing import NDArray

from compositing.blend import AS_IT_IS
from compositing.kernel import OPAQUE, blend_planes, coefficients, yuv_rows
from compositing.label import TEXT, draw_label, render_label
from compositing.transition import Transition
from shared.media.array_types import PixelBox
from shared.media.colour import planes


def grey(width: int, height: int, level: int = 128) -> NDArray[np.uint8]:
    frame = np.full((height * 3 // 2, width), 128, np.uint8)
    frame[:height] = level
    return frame


def drawn(frame: NDArray[np.uint8]) -> PixelBox:
    box = draw_label(frame)
    assert box
    return box


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (720, 1080), (1024, 1024), (640, 360)])
def test_it_sits_in_the_bottom_left_corner(width: int, height: int) -> None:
    frame = grey(width, height)
    x, y, w, h = drawn(frame)
    assert 0 < x < 0.05 * width and y > 0.9 * height and y + h < height and x + w < 0.5 * width
    assert h == pytest.approx(max(16, 0.032 * height), abs=2)


@pytest.mark.parametrize("level", [16, 128, 235])
def test_it_reads_on_any_ground(level: int) -> None:
    frame = grey(1280, 720, level)
    x, y, w, h = drawn(frame)
    box = planes(frame)[0][y : y + h, x : x + w]
    assert box.max() > 225, "letters are white"
    assert np.percentile(box, 30) < 125, "their ground is dark"
    assert (box > 200).mean() > 0.05


def test_nothing_else_is_touched() -> None:
    frame = grey(1280, 720)
    x, y, w, h = drawn(frame)
    luma, u, v = planes(frame)
    luma[y : y + h, x : x + w] = 128
    u[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2] = v[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2] = 128
    assert np.array_equal(frame, grey(1280, 720))


@pytest.mark.apart  # compiling the loop takes seconds
@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (480, 640), (200, 200)])
def test_its_pixels_are_those_of_the_compositors_loop(width: int, height: int) -> None:
    frame = np.random.default_rng(5).integers(0, 256, (height * 3 // 2, width)).astype(np.uint8)
    wanted = frame.copy()
    x, y, w, h = drawn(frame)
    luma, u, v = planes(wanted)
    half = np.s_[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2]
    patch = render_label(TEXT, h).view(np.uint32)[..., 0]
    blend_planes(
        luma[y : y + h, x : x + w], u[half], v[half], patch, np.int32(OPAQUE), coefficients(yuv_rows(*AS_IT_IS))
    )
    assert np.array_equal(frame, wanted)


def test_it_follows_a_change_of_size() -> None:
    first = drawn(grey(1920, 1080))
    assert drawn(grey(640, 360))[3] < first[3] and drawn(grey(1920, 1080)) == first


def test_a_frame_too_small_for_it_is_left_alone() -> None:
    frame = grey(64, 32)
    assert draw_label(frame) is None and np.array_equal(frame, grey(64, 32))


def test_the_transition_is_soft_and_complete() -> None:
    fade = Transition(seconds=0.3)
    up = [fade.opacity_at(n * 20_000, True) for n in range(20)]
    assert up[0] == 0.0 and up[15] == 1.0 and up[-1] == 1.0
    steps = np.diff(up)
    assert (steps >= 0).all() and steps.max() < 0.15 and steps[0] < 0.03


def test_the_transition_turns_back_without_a_step() -> None:
    fade = Transition(seconds=0.3)
    shown = [fade.opacity_at(n * 20_000, n < 8) for n in range(30)]
    assert shown[-1] == 0.0 and np.abs(np.diff(shown)).max() < 0.15


def test_time_that_stands_or_goes_back_changes_nothing() -> None:
    fade = Transition()
    fade.opacity_at(0, True)
    half = fade.opacity_at(150_000, True)
    assert fade.opacity_at(150_000, True) == half and fade.opacity_at(100_000, False) == half
