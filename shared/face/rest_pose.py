"""The rest pose: the rotation of a portrait's head that makes it look in the same direction as the plate's body."""

import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import Face

MAX_REST_DEGREES = 20.0  # a portrait turned further is visibly flat


def rest_pose(portrait: Face, plate: list[Face]) -> tuple[float, float]:
    """Return `turned_against`, with yaw and pitch limited to MAX_REST_DEGREES in either direction."""
    yaw, pitch = turned_against(portrait, plate)
    return float(np.clip(yaw, -MAX_REST_DEGREES, MAX_REST_DEGREES)), float(
        np.clip(pitch, -MAX_REST_DEGREES, MAX_REST_DEGREES)
    )


def turned_against(portrait: Face, plate: list[Face]) -> tuple[float, float]:
    """Return the median (yaw, pitch) in degrees of the plate's faces relative to the portrait's, without a limit."""
    own = portrait.pose
    yaw, pitch = (float(np.median([getattr(face.pose, of) for face in plate])) for of in ("yaw", "pitch"))
    return yaw - own.yaw, pitch - own.pitch


def turn_to_rest(face: Face, rest: tuple[float, float]) -> Face:
    """Return the face with its head turned by (yaw, pitch) degrees about the head's centre.

    An engine shows this face at rest, so the placement is computed for it.
    """
    home, pose, centre = face.rotation, face.pose, head_centre(face)
    turn = rotation_matrix(pose.yaw + rest[0], pose.pitch + rest[1], pose.roll) @ home.T
    return Face(((face.points - centre) @ turn.T + centre).astype(np.float32))


def head_centre(face: Face) -> NDArray[np.float64]:
    """Return the (3,) point about which a head turns, in image pixels: between the ears and slightly behind them."""
    ears = face.points[[234, 454]].mean(axis=0, dtype=np.float64)
    return np.asarray(ears + face.rotation[:, 2] * (0.15 * face.eye_distance), np.float64)


def rotation_matrix(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Return the (3, 3) rotation Rz(roll) Ry(-yaw) Rx(pitch) for angles in degrees.

    The inverse of `shared.face.landmarks.pose_of`.
    """
    (sy, cy), (sp, cp), (sr, cr) = ((np.sin(a), np.cos(a)) for a in np.radians((yaw, pitch, roll)))
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, np.float64)
