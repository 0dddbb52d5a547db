"""Where the ROI covers the plate: soft masks in ROI pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar import ROI_SIZE
from shared.face import OVAL, Face

OWN_RIM = 0.08  # of the ROI's side: the ramp from nothing at its edge to all inside
OWN_MARGIN = 0.02  # of the ROI's side that stays empty, so that resampling at the edge never shows
FEATHER = 0.06  # of the face's size, for a face on a foreign body
FOREHEAD = 0.06  # of the face's size by which the oval, which ends above the brows, grows towards the hairline


def own_mask() -> NDArray[np.uint8]:
    """(512, 512) uint8 for a plate that is the portrait itself: all, with a soft rim."""
    at = (np.arange(ROI_SIZE) + 0.5) / ROI_SIZE
    t = np.clip((np.minimum(at, 1.0 - at) - OWN_MARGIN) / OWN_RIM, 0.0, 1.0)
    ramp = t * t * (3.0 - 2.0 * t)
    return np.rint(np.outer(ramp, ramp) * 255).astype(np.uint8)


def body_mask(face: Face) -> NDArray[np.uint8]:
    """(512, 512) uint8 for a foreign body: the face from hairline to jaw, feathered inwards from its outline so
    that nothing of the portrait's neck or background gets onto the plate."""
    points = face.points[:, :2].astype(np.float64)
    up = points[10] - points[152]
    up /= max(float(np.linalg.norm(up)), 1e-6)
    oval = points[OVAL]
    height = (oval - points[152]) @ up
    upper = np.clip((height / height.max() - 0.5) / 0.5, 0.0, 1.0)  # 0 at the cheeks, 1 at the top
    outline = oval + upper[:, None] * up * FOREHEAD * face.size
    solid = np.zeros((ROI_SIZE, ROI_SIZE), np.uint8)
    cv2.fillPoly(solid, [np.rint(outline * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    inside = cv2.distanceTransform((solid > 127).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    t = np.clip(inside / (2 * FEATHER * face.size), 0.0, 1.0)
    soft = cv2.GaussianBlur(t * t * (3.0 - 2.0 * t) * 255, (0, 0), FEATHER * face.size / 6)
    return np.rint(soft * _edge()).clip(0, 255).astype(np.uint8)


def _edge() -> NDArray[np.float64]:
    """Zero at the very edge of the ROI whatever the face does there."""
    at = np.minimum(np.arange(ROI_SIZE), np.arange(ROI_SIZE)[::-1]) / (OWN_MARGIN * ROI_SIZE)
    ramp = np.clip(at, 0.0, 1.0)
    return np.outer(ramp, ramp)
