"""Where the ROI covers the plate: soft masks in ROI pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar import ROI_SIZE
from shared.face import OVAL, Face

OWN_RIM = 0.08  # of the ROI's side: the ramp from nothing at its edge to all inside
OWN_MARGIN = 0.02  # of the ROI's side that stays empty, so that resampling at the edge never shows
FEATHER = 0.12  # of the face's size, inwards from its outline, for a face on a foreign body
FOREHEAD = 0.06  # of the face's size by which the oval, which ends above the brows, grows towards the hairline
BEYOND = 0.03  # of the face's size by which the mask may leave the plate's own face


def own_mask() -> NDArray[np.uint8]:
    """(512, 512) uint8 for a plate that is the portrait itself: all, with a soft rim."""
    at = (np.arange(ROI_SIZE) + 0.5) / ROI_SIZE
    ramp = _ease((np.minimum(at, 1.0 - at) - OWN_MARGIN) / OWN_RIM)
    return np.rint(np.outer(ramp, ramp) * 255).astype(np.uint8)


def body_mask(face: Face, plate_oval: NDArray[np.floating] | None = None) -> NDArray[np.uint8]:
    """(512, 512) uint8 for a foreign body: the face from hairline to jaw, feathered inwards, so that nothing of the
    portrait's neck or background gets onto the plate.

    face: in ROI pixels, in its rest pose. plate_oval: (36, 2) outline of the plate's face in ROI pixels, beyond
        which the mask ends too: where the portrait's face is the wider one it would hang in the air.
    """
    points = face.points[:, :2].astype(np.float64)
    up = points[10] - points[152]
    up /= max(float(np.linalg.norm(up)), 1e-6)
    oval = _grown(points[OVAL], up, FOREHEAD * face.size)
    inside = _depth(oval)
    if plate_oval is not None:
        outline = _grown(np.asarray(plate_oval, np.float64), up, FOREHEAD * face.size)
        inside = np.minimum(inside, _depth(outline) + BEYOND * face.size)
    soft = cv2.GaussianBlur(_ease(inside / (FEATHER * face.size)) * 255, (0, 0), FEATHER * face.size / 12)
    return np.rint(soft * _edge()).clip(0, 255).astype(np.uint8)


def _grown(oval: NDArray[np.float64], up: NDArray[np.float64], by: float) -> NDArray[np.float64]:
    """The oval with its upper half drawn up, most at the top."""
    height = (oval - oval.mean(axis=0)) @ up
    upper = np.clip(height / max(float(height.max()), 1e-6), 0.0, 1.0)
    return np.asarray(oval + upper[:, None] * up * by, np.float64)


def _depth(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """(512, 512) distance to the outline in pixels, positive inside and negative outside."""
    solid = np.zeros((ROI_SIZE, ROI_SIZE), np.uint8)
    cv2.fillPoly(solid, [np.rint(outline * 16).astype(np.int32)], 1, shift=4)
    inner = cv2.distanceTransform(solid, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outer = cv2.distanceTransform(1 - solid, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(inner - outer, np.float64)


def _ease(value: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip(value, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float64)


def _edge() -> NDArray[np.float64]:
    """Zero at the very edge of the ROI whatever the face does there."""
    at = np.minimum(np.arange(ROI_SIZE), np.arange(ROI_SIZE)[::-1]) / (OWN_MARGIN * ROI_SIZE)
    ramp = np.clip(at, 0.0, 1.0)
    return np.outer(ramp, ramp)
