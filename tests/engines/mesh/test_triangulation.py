"""The triangles cover the hull of the points, and no point is inside the circumcircle of a triangle."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from engines.mesh.triangulation import delaunay

GRID = np.stack(np.meshgrid(np.arange(0.0, 512, 22), np.arange(0.0, 512, 22)), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("points", [np.random.default_rng(3).uniform(-40, 550, (200, 2)), GRID], ids=["any", "grid"])
def test_it_is_delaunay_s(points: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    points32 = points.astype(np.float32)
    triangles = delaunay(points32)
    a, b, c = (points32[triangles[:, k]].astype(np.float64) for k in range(3))
    ab, ac = b - a, c - a
    double = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    assert np.abs(double).sum() / 2 == pytest.approx(ConvexHull(points32).volume, rel=1e-3)
    size_b, size_c = (ab**2).sum(axis=1), (ac**2).sum(axis=1)
    offset = np.stack([ac[:, 1] * size_b - ab[:, 1] * size_c, ab[:, 0] * size_c - ac[:, 0] * size_b], axis=1)
    offset /= 2 * double[:, None]
    radius = np.hypot(*offset.T)
    distance = np.linalg.norm(points32[None] - (a + offset)[:, None], axis=2)
    assert (distance > radius[:, None] - 1e-2).all()
