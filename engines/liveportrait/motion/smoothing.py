"""Kalman smoothing of motion with one gain for all values: every covariance is a multiple of the identity.

State and observation are the same. The process noise is PROCESS, the observation noise `variance`, the first covariance
1, the first mean the first sample. The filter uses past samples alone; the original smooths a file's motion with later
samples too.
"""

import numpy as np

from shared.media.array_types import FloatArray

PROCESS = 1e-5


class CausalSmoother:
    """Forward pass of the filter. `mean` and `spread` are its whole state."""

    def __init__(self, variance: float) -> None:
        self.variance = variance
        self.mean: FloatArray | None = None
        self.spread = 1.0

    def reset(self) -> None:
        """Forget all past values; the next value is returned unchanged."""
        self.mean, self.spread = None, 1.0

    def smooth(self, value: FloatArray) -> FloatArray:
        """Return the smoothed value; the first after a reset is returned unchanged."""
        if self.variance <= 0.0:
            self.mean = value
            return value
        before = value if self.mean is None else self.mean
        predicted = self.spread if self.mean is None else self.spread + PROCESS
        gain = predicted / (predicted + self.variance)
        self.mean = np.asarray(before + np.float32(gain) * (value - before), np.float32)
        self.spread = (1.0 - gain) * predicted
        return self.mean
