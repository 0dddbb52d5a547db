"""The area in which a foreign face must leave the plate's skin unchanged: all around its features."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.avatar.portrait_skin import PortraitSkin
from shared.easing import smoothstep
from shared.face.features import feature_mask
from shared.face.landmarks import MOUTH_CORNERS, OVAL, Face
from shared.face.rest_pose import turn_to_rest
from shared.media.array_types import FloatArray

# Eye distances from the features: the skin is free up to the first and held from the second on.
HELD_FROM, HELD = 0.06, 0.15
JAW_ROOM = 0.35  # eye distances below the mouth that an opening mouth needs
JAW_EDGE = 0.1  # eye distances outside the face's outline over which a sinking jaw becomes free


def foreign_mask(avatar: Avatar) -> NDArray[np.uint8]:
    """Return the mask of ROI frames without a matte on a foreign body, (512, 512) uint8: the portrait's face alone."""
    skin = PortraitSkin(avatar.roi, avatar.face).moved(turn_to_rest(avatar.face, avatar.rest))
    whole = cv2.resize(skin, (ROI_SIZE_PX, ROI_SIZE_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(avatar.mask, whole, scale=1 / 255), np.uint8)


def held_zone(faces: list[Face], side: int) -> FloatArray:
    """Return how far the plate is held, (side, side) float32, 0 to 255.

    0 on the features of these faces (in ROI pixels; the first is the portrait's, the others are the body's), where an
    opening mouth or a sinking jaw moves, and slightly around these areas.
    """
    shape = ROI_SIZE_PX, ROI_SIZE_PX
    eyes = faces[0].eye_distance
    body = np.mean([face.points[:, :2] for face in faces[1:] or faces], axis=0)
    down = (body[152] - body[10]) / max(float(np.linalg.norm(body[152] - body[10])), 1e-6)
    free = feature_mask(shape, faces)
    for face in faces:
        lips = face.points[list(MOUTH_CORNERS), :2]
        strip = np.concatenate([lips, lips + down * JAW_ROOM * eyes])
        cv2.fillConvexPoly(free, cv2.convexHull(np.rint(strip).astype(np.int32)), (1,))
    held = smoothstep((_away_from(free) / eyes - HELD_FROM) / (HELD - HELD_FROM))
    inside = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(body[OVAL]).astype(np.int32)), (1,))
    y, x = np.mgrid[:ROI_SIZE_PX, :ROI_SIZE_PX]
    below = ((np.dstack([x, y]) - body[list(MOUTH_CORNERS)].mean(axis=0)) @ down) / eyes
    sinking = smoothstep(below / JAW_ROOM) * smoothstep(_away_from(inside) / eyes / JAW_EDGE)
    return np.asarray(cv2.resize(held * (1 - sinking) * 255, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _away_from(area: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(cv2.distanceTransform(1 - area, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float64)
