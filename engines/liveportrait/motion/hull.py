"""The volume of a convex hull in space."""

import numpy as np
from numpy.typing import NDArray

from shared.media.array_types import FloatArray

FLAT = 1e-12  # of the cube of the points' extent: a volume that is rounding


def hull_volume(points: FloatArray) -> float:
    """Of (N, 3) points; 0 where all lie in a plane. The hull grows from a tetrahedron, point by point: the faces that a
    point sees are replaced by those between it and their rim."""
    p = np.asarray(points, np.float64)
    p = p - p.mean(axis=0)
    flat = FLAT * float(np.ptp(p, axis=0).max()) ** 3
    first = _tetrahedron(p)
    if abs(_volume(p, first)) <= flat:
        return 0.0
    faces = _outwards(p, first)
    for point in set(range(len(p))) - set(first):
        seen = [face for face in faces if _volume(p, (*face, point)) > flat]
        edges = {edge for a, b, c in seen for edge in ((a, b), (b, c), (c, a))}
        rim = [(a, b) for a, b in edges if (b, a) not in edges]
        faces = [face for face in faces if face not in seen] + [(a, b, point) for a, b in rim]
    return float(sum(_volume(p, (*face, first[0])) for face in faces if first[0] not in face) * -1)


def _tetrahedron(p: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """Four points, each as far as can be from what those before it span."""
    a = int(np.argmin(p[:, 0]))
    b = int(np.argmax(np.linalg.norm(p - p[a], axis=1)))
    c = int(np.argmax(np.linalg.norm(np.cross(p - p[a], p[b] - p[a]), axis=1)))
    d = int(np.argmax(np.abs((p - p[a]) @ np.cross(p[b] - p[a], p[c] - p[a]))))
    return a, b, c, d


def _volume(p: NDArray[np.float64], corners: tuple[int, ...]) -> float:
    """Of a tetrahedron, positive where the fourth corner sees the first three counter-clockwise."""
    a, b, c, d = p[list(corners)]
    return float(np.dot(np.cross(b - a, c - a), d - a)) / 6


def _outwards(p: NDArray[np.float64], corners: tuple[int, int, int, int]) -> list[tuple[int, int, int]]:
    """The four faces, counter-clockwise as seen from outside."""
    a, b, c, d = corners
    faces = [((a, b, c), d), ((a, c, d), b), ((a, d, b), c), ((b, d, c), a)]
    return [face if _volume(p, (*face, other)) < 0 else (face[0], face[2], face[1]) for face, other in faces]
