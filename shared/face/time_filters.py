"""Symmetric filters over time, which do not lag, for the measurements of whole recordings."""

import numpy as np
from numpy.typing import NDArray

SIGMAS = 4.0  # number of sigmas at which the Gaussian is cut off


def gaussian(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Smooth (N, C) tracks along the first axis by a Gaussian of `sigma` samples.

    Beyond the ends, the first and the last sample are repeated.
    """
    reach = int(SIGMAS * sigma + 0.5)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    bell /= bell.sum()
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(track, bell, mode="valid") for track in padded.T], axis=1)


def parabolas(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Smooth (N, C) tracks along the first axis: each sample is replaced by the value of a parabola fitted around it.

    Near the ends the parabola of the first or the last window is used. window: odd, 3 to N samples. Savitzky and Golay,
    Analytical Chemistry 1964.
    """
    half = window // 2
    powers = np.arange(-half, half + 1)[:, None] ** np.arange(3)
    fitted = powers @ np.linalg.pinv(powers)  # (window, window): from a window's samples to their fitted values
    out = np.empty_like(values)
    out[half : len(values) - half] = np.stack(
        [np.correlate(track, fitted[half], "valid") for track in values.T], axis=1
    )
    out[:half] = fitted[:half] @ values[:window]
    out[len(values) - half :] = fitted[half + 1 :] @ values[-window:]
    return out
