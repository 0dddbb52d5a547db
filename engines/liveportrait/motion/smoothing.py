"""Kalman smoothing of motion, with one gain for all numbers: every covariance is a multiple of the identity.

State and observation are the same; process noise PROCESS, observation noise `variance`, first covariance 1, first mean
the first sample. It looks back alone; the original smooths a file's motion by what comes after it too.
"""

import numpy as np

from shared.media.array_types import FloatArray

PROCESS = 1e-5


class CausalSmoother:
    """Forward pass: smooths with past values alone. `mean` and `spread` are its whole state."""

    def __init__(self, variance: float) -> None:
        self.variance = variance
        self.mean: FloatArray | None = None
        self.spread = 1.0

    def reset(self) -> None:
        """Forget what was seen: the next value passes as it is."""
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
