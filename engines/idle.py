"""Pose of a waiting host: blinks at irregular times, breath and a slowly wandering gaze, as a pure function of time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.easing import smoothstep
from shared.face.blink import blink_closure
from shared.runtime.clock import US

# Periods in seconds whose common multiple is so long that no repetition is noticeable.
BREATH_S = 4.3
SWAY_S = ((11.7, 0.9), (7.1, 0.5), (17.9, 0.7))  # period, amplitude
GLANCE_S = 2.9  # the gaze may move to another place this often


@dataclass(frozen=True, slots=True)
class IdlePose:
    """Head and eyes of a waiting host, relative to the rest pose.

    turn: (3,) yaw, pitch, roll in degrees. shift: (3,) offset of the head centre to the right and down in eye
        distances, and the logarithm of its size. lids: (2,) opening of the right and left eye, 1 at rest. gaze: (2,)
        offset of the irises to the right and down, in eye distances.
    """

    turn: NDArray[np.float32]
    shift: NDArray[np.float32]
    lids: NDArray[np.float32]
    gaze: NDArray[np.float32]


def idle_pose(pts: int) -> IdlePose:
    """Return the pose at `pts` (microseconds); the same `pts` always gives the same pose."""
    t = pts / US
    breath = np.sin(2 * np.pi * t / BREATH_S)
    yaw = sum(a * np.sin(2 * np.pi * t / p) for p, a in SWAY_S)
    roll = sum(a * np.sin(2 * np.pi * t / (1.31 * p) + 1.0) for p, a in SWAY_S)
    pitch = 0.45 * breath + 0.4 * np.sin(2 * np.pi * t / 13.3)
    look = _glance(t)
    shut = blink_closure(t)
    return IdlePose(
        turn=np.array([0.9 * yaw, pitch, 0.5 * roll], np.float32),
        shift=np.array([0.0, -0.006 * breath, 0.002 * breath], np.float32),
        lids=np.full(2, 1.0 - shut, np.float32),
        gaze=look.astype(np.float32),
    )


def _glance(t: float) -> NDArray[np.float64]:
    """Return the gaze, (2,) in eye distances: small quick steps between places, mostly near the viewer."""
    index = int(np.floor(t / GLANCE_S))
    here, last = (np.random.default_rng([7, max(i, 0)]).normal(0.0, (0.010, 0.004)) for i in (index, index - 1))
    step = (t - index * GLANCE_S) / 0.07  # a saccade of this size takes about 70 ms
    return np.asarray(last + (here - last) * smoothstep(step))
