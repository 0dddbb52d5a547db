"""Keypoints from the motion extractor's output heads. Pure numpy float32: a frame's motion is 76 numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from shared.media.array_types import FloatArray

POINTS = 21
BIN_DEGREES, BIN_OFFSET = 3.0, 97.5  # 66 bins from -97.5 to 97.5 degrees


@dataclass(frozen=True, slots=True)
class KeypointMotion:
    """Pose of a head and expression of its face, in coordinates of its crop: -1..1, x right, y down, z inwards.

    scale: (). rotation: (3, 3), for row vectors. exp: (21, 3). t: (3,); its z is never used. kp: (21, 3) canonical
        keypoints, None for a driver, whose shape does not matter. All float32.
    """

    scale: FloatArray
    rotation: FloatArray
    exp: FloatArray
    t: FloatArray
    kp: FloatArray | None = None

    @property
    def points(self) -> FloatArray:
        """Keypoints, (21, 3): scale * (kp @ R + exp), shifted by t in the image's plane."""
        assert self.kp is not None
        return move_keypoints(self.kp, self.scale, self.rotation, self.exp, self.t)


def move_keypoints(
    kp: FloatArray, scale: FloatArray, rotation: FloatArray, exp: FloatArray, t: FloatArray
) -> FloatArray:
    """Move (21, 3) canonical keypoints by a motion."""
    points = scale * (kp @ rotation + exp)
    points[:, :2] += t[:2]
    return points.astype(np.float32)


def degrees(logits: ArrayLike) -> FloatArray:
    """Convert (N, 66) logits to (N,) expected degrees, -97.5..97.5."""
    x = np.asarray(logits, np.float32)
    x = np.exp(x - x.max(axis=1, keepdims=True))
    mean = (x * np.arange(x.shape[1], dtype=np.float32)).sum(axis=1) / x.sum(axis=1)
    return np.asarray(mean * BIN_DEGREES - BIN_OFFSET, np.float32)


def row_rotations(pitch: ArrayLike, yaw: ArrayLike, roll: ArrayLike) -> FloatArray:
    """Return rotations for row vectors, (N, 3, 3), from (N,) degrees: the transpose of Rz(roll) Ry(yaw) Rx(pitch)."""
    p, y, r = (np.radians(np.asarray(a, np.float32).reshape(-1)) for a in (pitch, yaw, roll))
    (sp, cp), (sy, cy), (sr, cr) = ((np.sin(a), np.cos(a)) for a in (p, y, r))
    o, i = np.zeros_like(p), np.ones_like(p)
    about_x = _stack(i, o, o, o, cp, -sp, o, sp, cp)
    about_y = _stack(cy, o, sy, o, i, o, -sy, o, cy)
    about_z = _stack(cr, -sr, o, sr, cr, o, o, o, i)
    return np.ascontiguousarray((about_z @ about_y @ about_x).transpose(0, 2, 1), np.float32)


def motions(heads: Mapping[str, ArrayLike]) -> list[KeypointMotion]:
    """Return the motions of a batch, from the motion extractor's raw output heads."""
    raw = {name: np.asarray(value, np.float32) for name, value in heads.items()}
    turns = row_rotations(*(degrees(raw[name]) for name in ("pitch", "yaw", "roll")))
    return [
        KeypointMotion(
            scale=raw["scale"][i].reshape(()),
            rotation=turns[i],
            exp=raw["exp"][i].reshape(POINTS, 3),
            t=raw["t"][i],
            kp=raw["kp"][i].reshape(POINTS, 3),
        )
        for i in range(len(turns))
    ]


def _stack(*entries: FloatArray) -> FloatArray:
    return np.stack(entries, axis=-1).reshape(-1, 3, 3)
