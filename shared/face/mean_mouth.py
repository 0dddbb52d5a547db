"""Replaces a face's mouth by the mean mouth of faces at rest: a first guess at the neutral of a face that is not."""

import numpy as np

from shared.easing import smoothstep
from shared.face.landmarks import LIP_BOTTOM, LIP_TOP, MOUTH_CORNERS, Face

LIP_EDGES = (0, 17)  # middle of the outer lips, upper and lower
# Mean of mouths at rest, in eye distances: distance of the corners, and of the lips' middle below the corners' line.
MEAN_WIDTH, MEAN_SAG = 0.52, 0.035
REACH = 1.2  # distance from the mouth, in mouth sizes, within which the skin moves with it


def with_mean_mouth(face: Face) -> Face:
    """Return the face with closed lips of mean width and curve; a narrower or flatter mouth keeps its width or curve.

    Brows, eyes and head do not change.
    """
    still = face.points.astype(np.float64) @ face.rotation / face.eye_distance
    right, left = still[MOUTH_CORNERS[0]], still[MOUTH_CORNERS[1]]
    middle, half = (right + left)[:2] / 2, float(np.linalg.norm(left - right)) / 2
    top, bottom = still[LIP_TOP, 1], still[LIP_BOTTOM, 1]
    tall = max(float(still[LIP_EDGES[1], 1] - still[LIP_EDGES[0], 1]) / 2, 0.25 * half)
    line = float(top + bottom) / 2
    across = (still[:, 0] - middle[0]) / half
    away = np.hypot(across, (still[:, 1] - (line + middle[1]) / 2) / (1.2 * tall))
    share = smoothstep((1.0 + REACH - away) / REACH)
    sag = max(0.0, float(top - middle[1]) - MEAN_SAG)
    moved = still.copy()
    moved[:, 0] -= share * across * max(0.0, half - MEAN_WIDTH / 2)
    moved[:, 1] += share * sag * np.minimum(across**2, 1.0)
    # Move the lower lip, and the jaw with it, up to the upper lip.
    closing = np.maximum(1.0 - across**2, 0.0)[:, None] * (still[LIP_TOP] - still[LIP_BOTTOM])[1:]
    low = still[:, 1] > line + (middle[1] - line) * np.minimum(across**2, 1.0)
    moved[:, 1:] += np.where(low, share, 0.0)[:, None] * closing
    return Face(((moved * face.eye_distance) @ face.rotation.T).astype(np.float32))
