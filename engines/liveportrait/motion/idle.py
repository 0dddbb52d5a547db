"""Keypoints of a waiting host: the studio's own slow motion and blinks."""

import numpy as np

from engines.idle import idle_pose
from engines.liveportrait.motion.keypoints import KeypointMotion, move_keypoints, row_rotations
from engines.liveportrait.motion.retarget_rules import Correctors, Ratios
from shared.media.array_types import FloatArray


def idle_points(pts: int, source: KeypointMotion, own: Ratios, unit: float, nets: Correctors) -> FloatArray:
    """Return the keypoints at `pts` (microseconds), (21, 3), before stitching; a pure function of its arguments.

    own: the portrait's openings. unit: an eye distance in keypoint coordinates. The studio's yaw is positive towards
        the image's right, a keypoint rotation's towards its left.
    """
    assert source.kp is not None
    pose = idle_pose(pts)
    yaw, pitch, roll = (float(angle) for angle in pose.turn)
    turn = source.rotation @ row_rotations([pitch], [-yaw], [roll])[0]
    t = source.t.copy()
    t[:2] += pose.shift[:2] * np.float32(unit)
    points = move_keypoints(source.kp, source.scale * np.exp(pose.shift[2]), turn, source.exp, t)
    lids = float(np.clip(pose.lids.mean(), 0.0, 1.0))
    if lids < 1.0:
        open_, rest = float(own.eyes.mean()), source.points
        points += nets.eye_delta(rest, own.eyes, open_ * lids) - nets.eye_delta(rest, own.eyes, open_)
    return points
