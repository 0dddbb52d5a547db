"""The easing curve of fades."""

from typing import Any

import numpy as np
import pytest

from shared.easing import smoothstep


def test_it_rises_from_0_to_1_and_holds_there() -> None:
    assert [smoothstep(value) for value in (-1.0, 0.0, 0.25, 0.5, 1.0, 7.0)] == [0.0, 0.0, 0.15625, 0.5, 1.0, 1.0]


def test_it_begins_and_ends_without_a_slope() -> None:
    assert smoothstep(0.001) < 1e-5 and smoothstep(0.999) > 1.0 - 1e-5


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats_of_any_shape_are_as_their_numbers_and_keep_their_precision(kind: type[np.floating[Any]]) -> None:
    values = np.linspace(-0.5, 1.5, 24).reshape(2, 3, 4).astype(kind)
    eased = smoothstep(values)
    assert eased.dtype == kind and eased.shape == values.shape
    assert np.allclose(eased.ravel(), [smoothstep(float(value)) for value in values.ravel()], atol=1e-6)
