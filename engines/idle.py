"""The host waiting: blinks at irregular times, breath, a slowly wandering gaze; a pure function of time."""

import numpy as np
from numpy.typing import NDArray

from engines.mesh.motion import REST, Motion
from shared.face.blink import blink_closure

US = 1_000_000
# Periods in seconds that have no common multiple worth mentioning: nothing is ever seen to repeat.
BREATH_S = 4.3
SWAY_S = ((11.7, 0.9), (7.1, 0.5), (17.9, 0.7))  # period, share
GLANCE_S = 2.9  # the gaze may go elsewhere this often


def idle_motion(pts: int) -> Motion:
    """The motion at `pts` (microseconds), the same for the same pts."""
    t = pts / US
    breath = np.sin(2 * np.pi * t / BREATH_S)
    yaw = sum(a * np.sin(2 * np.pi * t / p) for p, a in SWAY_S)
    roll = sum(a * np.sin(2 * np.pi * t / (1.31 * p) + 1.0) for p, a in SWAY_S)
    pitch = 0.45 * breath + 0.4 * np.sin(2 * np.pi * t / 13.3)
    look = _glance(t)
    shut = blink_closure(t)
    return Motion(
        turn=np.array([0.9 * yaw, pitch, 0.5 * roll], np.float32),
        shift=np.array([0.0, -0.006 * breath, 0.002 * breath], np.float32),
        lids=np.full(2, 1.0 - shut, np.float32),
        gaze=look.astype(np.float32),
        lips=REST.lips,
        seal=REST.seal,
        skin=REST.skin,
    )


def _glance(t: float) -> NDArray[np.float64]:
    """(2,) gaze in eye distances: small quick steps between places, mostly near the viewer."""
    index = int(np.floor(t / GLANCE_S))
    here, last = (np.random.default_rng([7, max(i, 0)]).normal(0.0, (0.010, 0.004)) for i in (index, index - 1))
    step = min(1.0, (t - index * GLANCE_S) / 0.07)  # a saccade of this size takes about 70 ms
    return np.asarray(last + (here - last) * step * step * (3 - 2 * step))
