"""The volume of a hull is scipy's, where that knows one."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from engines.liveportrait.motion.hull import hull_volume


@pytest.mark.unit
@pytest.mark.parametrize("seed", range(20))
def test_of_keypoints(seed: int) -> None:
    points = np.random.default_rng(seed).normal(0, 0.2, (21, 3)).astype(np.float32)
    assert hull_volume(points) == pytest.approx(ConvexHull(points).volume, rel=1e-9)


@pytest.mark.unit
def test_of_points_in_rows_and_planes() -> None:
    lattice = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(-1, 3)
    assert hull_volume(lattice) == pytest.approx(8.0)
    assert hull_volume(np.concatenate([lattice, lattice])) == pytest.approx(8.0)
    assert hull_volume(lattice * [1, 1, 0]) == 0.0
