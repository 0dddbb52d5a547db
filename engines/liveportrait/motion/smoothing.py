"""Kalman smoothing of motion, with one gain for all numbers: every covariance is a multiple of the identity.

State and observation are the same; process noise PROCESS, observation noise `variance`, first covariance 1, first mean
the first sample. `smoothed` looks both ways (Rauch, Tung, Striebel), `CausalSmoother` only back.
"""

import numpy as np

from shared.media.array_types import FloatArray

PROCESS = 1e-5
OFFLINE_VARIANCE = 3e-7  # the published default: almost no smoothing


class CausalSmoother:
    """The forward pass: the smoothed value now, from what has been seen. `mean` and `spread` are all its state."""

    def __init__(self, variance: float) -> None:
        self.variance = variance
        self.mean: FloatArray | None = None
        self.spread = 1.0

    def reset(self) -> None:
        self.mean, self.spread = None, 1.0

    def smooth(self, value: FloatArray) -> FloatArray:
        """The smoothed value; the first after a reset passes as it is."""
        if self.variance <= 0.0:
            self.mean = value
            return value
        before = value if self.mean is None else self.mean
        predicted = self.spread if self.mean is None else self.spread + PROCESS
        gain = predicted / (predicted + self.variance)
        self.mean = np.asarray(before + np.float32(gain) * (value - before), np.float32)
        self.spread = (1.0 - gain) * predicted
        return self.mean


def smoothed(track: FloatArray, variance: float) -> FloatArray:
    """(N, ...) values smoothed over the whole track."""
    means, spreads, predictions = [], [], []
    mean, spread = track[0].astype(np.float64), 1.0
    for i, value in enumerate(track):
        predicted = spread + (PROCESS if i else 0.0)
        gain = predicted / (predicted + variance)
        mean = mean + gain * (value - mean)
        spread = (1.0 - gain) * predicted
        means.append(mean)
        spreads.append(spread)
        predictions.append(predicted)
    out = means[-1:]
    for i in range(len(track) - 2, -1, -1):
        # the state does not move by itself, so what is predicted for the next sample is this one's mean
        out.append(means[i] + spreads[i] / predictions[i + 1] * (out[-1] - means[i]))
    return np.asarray(np.stack(out[::-1]), np.float32)
