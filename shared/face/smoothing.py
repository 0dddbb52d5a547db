"""Smoothing of tracked points: steady at rest, without lag in motion."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import LEFT_IRIS, POINTS, RIGHT_IRIS, Face
from shared.runtime.clock import US

FAST_POINTS = np.unique(
    np.array(
        # lids, inner and outer lips: a blink lasts three frames and must not be smoothed away
        [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]
        + [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]
        + [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409]
        + [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415]
    )
)


class OneEuro:
    """One-Euro filter over a whole array (Casiez, Roussel, Vogel, CHI 2012).

    The cut-off of the low-pass grows with speed: ``min_cutoff + beta * |speed|``, all in hertz and
    in units of the value per second. Both parameters may be arrays that broadcast with the value.
    """

    def __init__(
        self, min_cutoff: float | NDArray[np.float32], beta: float | NDArray[np.float32], speed_cutoff: float = 1.0
    ) -> None:
        self.min_cutoff, self.beta, self.speed_cutoff = min_cutoff, beta, speed_cutoff
        self._value: NDArray[np.float32] | None = None
        self._speed: NDArray[np.float32] | None = None
        self._pts = 0

    def reset(self) -> None:
        """Discard the state; the next value passes unchanged."""
        self._value = None

    def smooth(self, value: NDArray[np.float32], pts: int) -> NDArray[np.float32]:
        """Return the smoothed value at `pts` (microseconds); the first value after a reset passes unchanged."""
        dt = (pts - self._pts) / US
        if self._value is None or self._speed is None or dt <= 0 or dt > 0.5:
            self._value, self._speed, self._pts = value.copy(), np.zeros_like(value), pts
            return self._value.copy()
        speed = (value - self._value) / dt
        self._speed = self._speed + _alpha(self.speed_cutoff, dt) * (speed - self._speed)
        cutoff = self.min_cutoff + self.beta * np.abs(self._speed)
        self._value = (self._value + _alpha(cutoff, dt) * (value - self._value)).astype(np.float32)
        self._pts = pts
        return self._value.copy()

    def save(self) -> dict[str, NDArray[np.generic]]:
        """The state as plain arrays."""
        if self._value is None or self._speed is None:
            return {}
        return {"value": self._value.copy(), "speed": self._speed.copy(), "pts": np.array(self._pts, np.int64)}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from a state that `save` returned."""
        self.reset()
        if "value" in state:
            self._value, self._speed = np.asarray(state["value"], np.float32), np.asarray(state["speed"], np.float32)
            self._pts = int(state["pts"])


class FaceSmoother:
    """One-Euro on all points of a face, in units of the eye distance so that size does not matter."""

    def __init__(self) -> None:
        cutoff = np.full((POINTS, 1), 0.9, np.float32)
        beta = np.full((POINTS, 1), 12.0, np.float32)
        cutoff[FAST_POINTS], beta[FAST_POINTS] = 1.5, 60.0
        cutoff[RIGHT_IRIS:], beta[RIGHT_IRIS:] = 1.2, 20.0
        assert RIGHT_IRIS < LEFT_IRIS
        self._filter = OneEuro(cutoff, beta)
        self._unit = 0.0

    def reset(self) -> None:
        """Discard the state; the next face passes unchanged."""
        self._filter.reset()
        self._unit = 0.0

    def smooth(self, face: Face, pts: int) -> Face:
        """The smoothed face at `pts` (microseconds)."""
        if self._unit == 0.0:
            self._unit = max(face.eye_distance, 1.0)
        return Face(self._filter.smooth(face.points / np.float32(self._unit), pts) * np.float32(self._unit))

    def save(self) -> dict[str, NDArray[np.generic]]:
        """The state as plain arrays."""
        return {**self._filter.save(), "unit": np.array(self._unit)}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from a state that `save` returned."""
        self._filter.restore(state)
        self._unit = float(state["unit"])


def _alpha(cutoff: float | NDArray[np.floating[Any]], dt: float) -> NDArray[np.float32]:
    return np.asarray(1.0 / (1.0 + 1.0 / (2.0 * np.pi * cutoff * dt)), np.float32)
