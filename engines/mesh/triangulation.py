"""Delaunay triangulation of points in the plane."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Margin around the points: OpenCV adds three points of its own out there, and nearer ones would cut slivers off the
# hull.
MARGIN_PX = 10_000


def delaunay(points: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the triangles of (N, 2) distinct points as (M, 3) indices.

    For four points on a circle, either diagonal may be chosen.
    """
    left, top = (int(v) for v in np.floor(points.min(axis=0)) - MARGIN_PX)
    right, bottom = (int(v) for v in np.ceil(points.max(axis=0)) + MARGIN_PX)
    plane = cv2.Subdiv2D((left, top, right - left, bottom - top))
    plane.insert(points.tolist())
    number = {(x, y): index for index, (x, y) in enumerate(points.tolist())}
    corners = np.asarray(plane.getTriangleList()).reshape(-1, 3, 2).tolist()
    # Triangles that extend beyond the points connect to OpenCV's own points, far outside.
    found = [[number.get((x, y), -1) for x, y in triangle] for triangle in corners]
    return np.array([triangle for triangle in found if min(triangle) >= 0], np.int32)
