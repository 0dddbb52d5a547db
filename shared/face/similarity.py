"""Similarities of the plane: maps of a face crop onto an image, and the smoothing of such maps over time.

A similarity is a (2, 3) float64 matrix [sR | t]: scale, rotation and shift, no shear.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.easing import smoothstep
from shared.face.time_filters import gaussian, parabolas

SimilarityMatrix = NDArray[np.float64]

# Smoothing windows in seconds. The short one follows a head turn exactly (a parabola passes unchanged);
# the long one removes the tracker's noise from a head at rest.
SHORT_WINDOW_S = 0.28
LONG_SIGMA_S = 0.12
# Differences in pixels between the short and the long filter: below the first it is noise, above the second motion.
STILL_PX, MOVING_PX = 0.25, 0.9


def fit(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> SimilarityMatrix:
    """Return the similarity that maps (N, 2) source points as closely as possible to (N, 2) target points.

    weights: (N,) non-negative, all equal by default. Weighted least squares after Umeyama, PAMI 1991, in
    its closed form for the plane. Raises ValueError if the source points all coincide.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    w = np.ones(len(a)) if weights is None else np.asarray(weights, np.float64)
    w = w / w.sum()
    mean_a, mean_b = w @ a, w @ b
    a, b = a - mean_a, b - mean_b
    spread = float(w @ (a * a).sum(axis=1))
    if not spread > 0.0:
        raise ValueError("all source points coincide")
    cosine = float(w @ (a * b).sum(axis=1)) / spread
    sine = float(w @ (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])) / spread
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, mean_b - linear @ mean_a])


def apply_similarity(matrix: SimilarityMatrix, points: ArrayLike) -> NDArray[np.float64]:
    """Return (N, 2) points mapped by the matrix."""
    moved: NDArray[np.float64] = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return moved


def compose(after: SimilarityMatrix, before: SimilarityMatrix) -> SimilarityMatrix:
    """Return the matrix that applies `before` first and `after` second."""
    return np.column_stack([after[:, :2] @ before[:, :2], after[:, :2] @ before[:, 2] + after[:, 2]])


def invert(matrix: SimilarityMatrix) -> SimilarityMatrix:
    """Return the inverse similarity. Raises numpy.linalg.LinAlgError for a singular matrix."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def scale_of(matrix: SimilarityMatrix) -> float:
    """Return the factor by which the matrix scales lengths."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def resize_matrix(factor_x: float, factor_y: float) -> SimilarityMatrix:
    """Return the map of pixel coordinates for resizing an image, with pixel centres at whole numbers."""
    return np.array([[factor_x, 0.0, (factor_x - 1) / 2], [0.0, factor_y, (factor_y - 1) / 2]])


def smooth(matrices: NDArray[np.float64], fps: float, anchor: ArrayLike, radius: float) -> NDArray[np.float64]:
    """Smooth (N, 2, 3) similarities over time: remove the tracker's noise and keep the motion, without delay.

    anchor: (2,) the point whose path is smoothed (the face's centre in source pixels), so that noise in
        rotation does not swing the face about a distant origin.
    radius: radius of the face in source pixels, which converts scale and angle to pixels at the face's edge.
    Both filters are symmetric in time, so nothing lags. Each sample of the result is a mix of the long filter at rest
    and the short filter in motion.
    """
    if len(matrices) < 5:
        return matrices.copy()
    centre = np.asarray(anchor, np.float64)
    linear, shift = matrices[:, :, :2], matrices[:, :, 2]
    path = linear @ centre + shift
    log_scale = np.log(np.hypot(linear[:, 0, 0], linear[:, 1, 0]))
    angle = np.unwrap(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    rim = radius * float(np.exp(np.median(log_scale)))  # in target pixels
    values = np.column_stack([path, log_scale * rim, angle * rim])  # all in target pixels
    values = _denoise(values, fps)
    scale, angle = np.exp(values[:, 2] / rim), values[:, 3] / rim
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    out = np.empty_like(matrices)
    out[:, 0, 0], out[:, 0, 1], out[:, 1, 0], out[:, 1, 1] = cosine, -sine, sine, cosine
    out[:, :, 2] = values[:, :2] - out[:, :, :2] @ centre
    return out


def _denoise(values: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """Smooth (N, C) tracks in pixels as described in `smooth`."""
    window = min(2 * round(SHORT_WINDOW_S * fps / 2) + 1, len(values) - 1 + len(values) % 2)
    short = parabolas(values, window) if window >= 5 else values
    long = gaussian(short, LONG_SIGMA_S * fps)
    apart = gaussian(np.abs(short - long), LONG_SIGMA_S * fps)
    moving = smoothstep((apart - STILL_PX) / (MOVING_PX - STILL_PX))
    return np.asarray(long + moving * (short - long), np.float64)
