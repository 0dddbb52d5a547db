"""Points of the face mesh that form the openings, lids and lips: facts of the MediaPipe topology.

"left" and "right" are the subject's own. Rows run from the subject's right to the left for the mouth and from the outer
to the inner corner for the eyes.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

# Lid edges without the corners, facing each other column by column; then the corners.
UPPER_LIDS = np.array([[246, 161, 160, 159, 158, 157, 173], [466, 388, 387, 386, 385, 384, 398]])
LOWER_LIDS = np.array([[7, 163, 144, 145, 153, 154, 155], [249, 390, 373, 374, 380, 381, 382]])
EYE_CORNERS = np.array([[33, 133], [263, 362]])
BROWS = np.array([[46, 53, 52, 65, 55], [276, 283, 282, 295, 285]])  # lower edge of the brows

# Lips in rows from the inner edge outwards, corners included at both ends.
UPPER_LIP_ROWS = np.array(
    [
        [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308],
        [62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292],
        [76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306],
        [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291],
    ]
)
LOWER_LIP_ROWS = np.array(
    [
        [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308],
        [62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292],
        [76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306],
        [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291],
    ]
)
INNER_UPPER, INNER_LOWER = UPPER_LIP_ROWS[0], LOWER_LIP_ROWS[0]


def eye_ring(eye: int) -> NDArray[np.int64]:
    """Return the 16 points around an eye opening, in order. eye: 0 is the right eye, 1 the left."""
    outer, inner = EYE_CORNERS[eye]
    return np.concatenate([[outer], UPPER_LIDS[eye], [inner], LOWER_LIDS[eye][::-1]])


def mouth_ring() -> NDArray[np.int64]:
    """Return the 20 points around the mouth opening in order."""
    return np.concatenate([INNER_UPPER, INNER_LOWER[-2:0:-1]])


def opening_triangles() -> NDArray[np.int32]:
    """Return the triangles, (M, 3), that close the eye and mouth openings column by column."""
    strips = [
        (np.concatenate([[c[0]], up, [c[1]]]), np.concatenate([[c[0]], low, [c[1]]]))
        for up, low, c in zip(UPPER_LIDS, LOWER_LIDS, EYE_CORNERS, strict=True)
    ]
    return np.concatenate([*(_strip(upper, lower) for upper, lower in strips), mouth_triangles()])


def mouth_triangles() -> NDArray[np.int32]:
    """Return the triangles, (M, 3), that close the mouth opening alone."""
    return _strip(INNER_UPPER, INNER_LOWER)


def _strip(upper: NDArray[np.int64], lower: NDArray[np.int64]) -> NDArray[np.int32]:
    triangles = []
    for i in range(len(upper) - 1):
        triangles += [(upper[i], upper[i + 1], lower[i]), (upper[i + 1], lower[i + 1], lower[i])]
    kept = [t for t in triangles if len(set(map(int, t))) == 3]
    return np.array(kept, np.int32)


def oriented(triangles: NDArray[np.int32], xy: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the triangles with one common winding, so that most have a positive area in `xy`.

    The winding spreads across shared edges instead of following the sign of each area, because in a turned portrait
    some triangles correctly face away.
    """
    owners: dict[tuple[int, int], list[int]] = {}
    for index, (a, b, c) in enumerate(triangles.tolist()):
        for edge in ((a, b), (b, c), (c, a)):
            owners.setdefault((min(edge), max(edge)), []).append(index)
    result = triangles.copy()
    seen = np.zeros(len(triangles), bool)
    for start in range(len(triangles)):
        if seen[start]:
            continue
        seen[start] = True
        queue = deque([start])
        while queue:
            a, b, c = (int(v) for v in result[queue.popleft()])
            for p, q in ((a, b), (b, c), (c, a)):
                for other in owners[(min(p, q), max(p, q))]:
                    if not seen[other]:
                        seen[other] = True
                        queue.append(other)
                        x, y, z = result[other].tolist()
                        if (p, q) in ((x, y), (y, z), (z, x)):  # a neighbour runs the shared edge backwards
                            result[other] = (x, z, y)
    corner = xy[result]
    side, next_side = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    area = side[:, 0] * next_side[:, 1] - side[:, 1] * next_side[:, 0]
    return result if area.sum() > 0 else np.ascontiguousarray(result[:, ::-1])
