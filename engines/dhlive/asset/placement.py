"""Placement of heads in their crops: affine maps from a mean face to each tracked face, smoothed over time."""

import numpy as np
from numpy.typing import NDArray

WEIGHTS = (0.015, 0.095, 0.78, 0.095, 0.015)  # of five consecutive frames
MOST_COMPONENTS, FRAMES_EACH = 25, 20  # most shape components kept, and frames needed for each


def smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth (N, K) values over time; the first and last two rows stay unchanged."""
    out, reach = values.copy(), len(WEIGHTS) // 2
    if len(values) > 2 * reach:
        stop = len(values) - 2 * reach
        out[reach:-reach] = sum(weight * values[at : at + stop] for at, weight in enumerate(WEIGHTS))
    return out


def fitted(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least-squares affine map, (4, 4), of (P, 3) points onto others, without reflection, mean onto mean."""
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    found, *_ = np.linalg.lstsq(source - from_mean, target - to_mean, rcond=None)
    left, sizes, right = np.linalg.svd(found.T)
    if np.linalg.det(left @ right) < 0:
        right[-1] *= -1
    matrix = np.eye(4)
    matrix[:3, :3] = left @ np.diag(sizes) @ right
    matrix[:3, 3] = to_mean - matrix[:3, :3] @ from_mean
    return matrix


def place_heads(
    faces: NDArray[np.float64], mean: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (N, 4, 4) maps from canonical space to (N, 478, 3) faces, and the (478, 3) personal face in that space.

    Each face is mapped to canonical space by its own affine map, reduced to the shape components that a film of this
    length can distinguish, and mapped again from the reduced shape.
    """
    first = np.array([fitted(mean, face) for face in faces])
    plain = np.array([_back(matrix, face) for matrix, face in zip(first, faces, strict=True)]).reshape(len(faces), -1)
    personal = plain.mean(axis=0)
    kept = min(MOST_COMPONENTS, len(faces) // FRAMES_EACH)
    shapes = np.linalg.svd(plain - personal, full_matrices=False)[2][:kept]
    shaped = ((plain - personal) @ shapes.T @ shapes + personal).reshape(faces.shape)
    matrices = np.array([fitted(shape, face) for shape, face in zip(shaped, faces, strict=True)])
    return smoothed(matrices.reshape(-1, 16)).reshape(-1, 4, 4), personal.reshape(-1, 3)


def _back(matrix: NDArray[np.float64], face: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.solve(matrix[:3, :3], (face - matrix[:3, 3]).T).T, np.float64)
