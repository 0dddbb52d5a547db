"""Motion of a driver's face, independent of whose face it is: the numbers that move a portrait.

Lengths are in eye distances, measured in head space (x to the image's right, y down, z away from the viewer when the
head looks straight at the viewer), so a driver's face of any size moves a portrait equally.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.idle import idle_pose
from engines.mesh.topology import EYE_CORNERS, INNER_LOWER, INNER_UPPER, LOWER_LIDS, UPPER_LIDS
from shared.face.landmarks import LEFT_IRIS, RIGHT_IRIS, RIGID, SURFACE, Face, pose_of
from shared.face.rest_pose import head_centre

# A lip gap this small (eye distances) is a closed mouth within the tracker's noise. For a driver whose neutral gap is
# below it, closing is measured relative to this gap.
CLOSED_GAP = 0.04
MIDDLE = slice(2, 7)  # of the nine lip columns, those with a reliably measured gap
# Beyond this much yaw (degrees) the tracker only guesses the far eye's lids, so the near eye's are used for both.
NEAR_EYE_YAW = (12.0, 28.0)


@dataclass(frozen=True, slots=True)
class MeshMotion:
    """Movement away from neutral.

    turn: (3,) yaw, pitch, roll in degrees (see `shared.face.landmarks.Pose`).
    shift: (3,) offset of the head centre to the right and down in eye distances, and the logarithm of its size.
    lids: (2,) opening of the right and left eye relative to neutral; 1 is neutral.
    gaze: (2,) offset of the irises to the right and down, in eye distances.
    lips: (9,) how much further the inner lips are apart than at neutral, column by column, >= 0.
    seal: (1,) 1 at neutral, down to 0 as the driver's lips close beyond neutral.
    skin: (468, 3) movement of the skin in head space.
    ajar: (1,) how far lips that are apart in a filmed face stay apart: 1, or 0 while a voice alone determines the gap.
    """

    turn: NDArray[np.float32]
    shift: NDArray[np.float32]
    lids: NDArray[np.float32]
    gaze: NDArray[np.float32]
    lips: NDArray[np.float32]
    seal: NDArray[np.float32]
    skin: NDArray[np.float32]
    ajar: NDArray[np.float32] = field(default_factory=lambda: np.ones(1, np.float32))

    def flat(self) -> NDArray[np.float32]:
        """Return the motion as one (1425,) vector, for easing and saving."""
        return np.concatenate([getattr(self, each.name).ravel() for each in fields(self)])

    @classmethod
    def from_flat(cls, flat: NDArray[np.float32]) -> "MeshMotion":
        """Return the motion that `flat` turned into a (1425,) vector."""
        parts, at = [], 0
        for each in fields(cls):
            like = getattr(REST, each.name)
            parts.append(flat[at : at + like.size].reshape(like.shape))
            at += like.size
        return cls(*parts)

    def with_turn(self, yaw: float, pitch: float, roll: float) -> "MeshMotion":
        """Return the motion with another head rotation."""
        return replace(self, turn=np.array([yaw, pitch, roll], np.float32))


def _zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


REST = MeshMotion(
    turn=_zeros(3),
    shift=_zeros(3),
    lids=np.ones(2, np.float32),
    gaze=_zeros(2),
    lips=_zeros(9),
    seal=np.ones(1, np.float32),
    skin=_zeros(SURFACE, 3),
)


def idle_motion(pts: int) -> MeshMotion:
    """Return the motion of a waiting host at `pts` (microseconds); the same `pts` always gives the same motion."""
    pose = idle_pose(pts)
    return replace(REST, turn=pose.turn, shift=pose.shift, lids=pose.lids, gaze=pose.gaze)


class NeutralMeasures:
    """A driver's neutral face and the measurements of it, taken once instead of for every frame."""

    def __init__(self, face: Face) -> None:
        self.points = face.points
        self.unit = face.eye_distance
        self.home = face.rotation
        self.pose = np.array(pose_of(self.home))
        self.rigid = face.points[RIGID].astype(np.float64)
        self.centre = head_centre(face)
        self.base = face.points.astype(np.float64) @ self.home / self.unit
        self.gaps = lip_gaps(self.base)
        self.gap = float(self.gaps[MIDDLE].mean())
        self.openings = np.array([max(_opening(self.base, eye), 1e-3) for eye in (0, 1)])
        self.gaze = _gaze(self.base)


def relative_motion(face: Face, neutral: Face | NeutralMeasures) -> MeshMotion:
    """Return the motion that takes `neutral` to `face`, both of one person in one image."""
    rest = neutral if isinstance(neutral, NeutralMeasures) else NeutralMeasures(neutral)
    rotation = face.rotation
    turn = rotation @ rest.home.T
    scale, move = scale_and_shift(rest.rigid, face.points[RIGID], turn)
    # not the pose of the fit: every other part measures the pose in this way, and the output is compared by it
    pose = np.array(pose_of(rotation))
    delta = (pose - rest.pose + 180.0) % 360.0 - 180.0
    shift = (scale * turn @ rest.centre + move - rest.centre)[:2] / rest.unit
    # the face with its head movement undone, in the neutral's head space
    still = (face.points - move) @ (turn @ rest.home / (scale * rest.unit))
    gaps = lip_gaps(still)
    closing = rest.gap - float(gaps[MIDDLE].mean())
    return MeshMotion(
        turn=delta.astype(np.float32),
        shift=np.array([shift[0], shift[1], np.log(scale)], np.float32),
        lids=_lid_ratios(still, rest, float(pose[0])),
        gaze=(_gaze(still) - rest.gaze).astype(np.float32),
        lips=np.maximum(gaps - rest.gaps, 0.0).astype(np.float32),
        seal=np.array([np.clip(1.0 - closing / max(rest.gap, CLOSED_GAP), 0.0, 1.0)], np.float32),
        skin=(still - rest.base)[:SURFACE].astype(np.float32),
    )


def scale_and_shift(
    source: NDArray[np.floating[Any]], target: NDArray[np.floating[Any]], turn: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return scale and (3,) shift that, with a given (3, 3) rotation, best map (N, 3) source to target."""
    a, b = source.astype(np.float64), target.astype(np.float64)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    turned = (a - mean_a) @ turn.T
    scale = max(float((turned * (b - mean_b)).sum() / (turned * turned).sum()), 1e-3)
    return scale, mean_b - scale * turn @ mean_a


def lip_gaps(points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the distance of the inner lips along head-space y, (9,) column by column, in the points' unit."""
    return np.asarray(points[INNER_LOWER[1:-1], 1] - points[INNER_UPPER[1:-1], 1], np.float64)


def _lid_ratios(still: NDArray[np.float64], rest: NeutralMeasures, yaw: float) -> NDArray[np.float32]:
    ratios = np.array([_opening(still, eye) for eye in (0, 1)]) / rest.openings
    # yaw > 0 turns towards the image's right, which hides the left eye
    low, high = NEAR_EYE_YAW
    trust = np.clip((abs(yaw) - low) / (high - low), 0.0, 1.0)
    near, far = (0, 1) if yaw > 0 else (1, 0)
    ratios[far] += trust * (ratios[near] - ratios[far])
    return np.asarray(ratios, np.float32)


def _opening(points: NDArray[np.float64], eye: int) -> float:
    gaps = points[LOWER_LIDS[eye, 1:6]] - points[UPPER_LIDS[eye, 1:6]]
    return float(np.linalg.norm(gaps, axis=1).mean())


def _gaze(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean offset of the irises from the middle between their eye's corners, (2,)."""
    middles = points[EYE_CORNERS].mean(axis=1)
    return np.asarray((points[[RIGHT_IRIS, LEFT_IRIS]] - middles)[:, :2].mean(axis=0))
