"""The filters over time equal those of scipy, up to rounding."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter

from shared.face.time_filters import gaussian, parabolas


@pytest.mark.parametrize("count", [1, 5, 40, 500])
@pytest.mark.parametrize("sigma", [1e-3, 0.7, 3.0, 25.0])
def test_the_bell(count: int, sigma: float) -> None:
    values = np.random.default_rng(count).normal(0, 10, (count, 3))
    wanted = gaussian_filter1d(values, sigma, axis=0, mode="nearest")
    np.testing.assert_allclose(gaussian(values, sigma), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("count", "window"), [(5, 5), (7, 5), (7, 7), (40, 9), (500, 15)])
def test_the_parabolas(count: int, window: int) -> None:
    values = np.random.default_rng(count).normal(0, 10, (count, 3))
    wanted = savgol_filter(values, window, polyorder=2, axis=0, mode="interp")
    np.testing.assert_allclose(parabolas(values, window), wanted, rtol=0, atol=1e-12)
