"""Where the ROI covers the plate: soft masks in ROI pixels."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.model import ROI_SIZE_PX
from shared.avatar.portrait_skin import PortraitSkin
from shared.easing import smoothstep
from shared.face import similarity
from shared.face.landmarks import OVAL, Face

OWN_RIM = 0.08  # of the ROI's side: the ramp from nothing at its edge to all inside
OWN_MARGIN = 0.02  # of the ROI's side that stays empty, so that resampling at the edge never shows
FEATHER = 0.12  # of the face's size, inwards from its outline, for a face on a foreign body
FOREHEAD = 0.06  # of the face's size by which the oval, which ends above the brows, grows towards the hairline
JAW = 0.05  # of the face's size by which the bound of a moving face lies below the chin: a mouth opens
MATTE_STEP = 4  # a moving matte is drawn this much smaller: it is soft anyway
BEYOND = 0.03  # of the face's size by which the mask may leave the plate's own face


def own_mask() -> NDArray[np.uint8]:
    """(512, 512) uint8 for a plate that is the portrait itself: all, with a soft rim."""
    at = (np.arange(ROI_SIZE_PX) + 0.5) / ROI_SIZE_PX
    ramp = smoothstep((np.minimum(at, 1.0 - at) - OWN_MARGIN) / OWN_RIM)
    return np.asarray(np.rint(np.outer(ramp, ramp) * 255), np.uint8)


def moving_matte(face: Face, bound: NDArray[np.uint8], skin: PortraitSkin | None = None) -> NDArray[np.uint8]:
    """(512, 512) uint8 matte of a face on a foreign body as it moves, for an engine to call in every frame (0.4 ms).

    face: the moved one, in ROI pixels. bound: the avatar's mask, which the matte does not leave. Where the head has
    turned away from its rest pose the plate's own skin shows, rather than the portrait's hair or background. skin: the
    same for what lies inside the face's outline.
    """
    small = face.moved(similarity.resize_matrix(1 / MATTE_STEP, 1 / MATTE_STEP))
    outline = _grown(_oval(small), _up(small), FOREHEAD * small.size)
    ramp = smoothstep(_depth(outline, ROI_SIZE_PX // MATTE_STEP) / (FEATHER * small.size))
    drawn = (ramp * 255).astype(np.uint8)
    if skin is not None:
        drawn = np.asarray(cv2.multiply(drawn, skin.moved(face), scale=1 / 255), np.uint8)
    matte = cv2.resize(drawn, (ROI_SIZE_PX, ROI_SIZE_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.min(matte, bound), np.uint8)


def bound_mask(face: Face, plate_oval: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """(512, 512) uint8: what a moving face on a foreign body never leaves, and the mask of one without a matte.

    face: in ROI pixels, in its rest pose. plate_oval: (36, 2) outline of the plate's face in ROI pixels: where the
    portrait's face is the wider one it would hang in the air.
    """
    up = _up(face)
    inside, around = (
        _depth(_grown(_grown(oval, up, FOREHEAD * face.size), -up, JAW * face.size))
        for oval in (_oval(face), np.asarray(plate_oval, np.float64))
    )
    return _feathered(np.minimum(inside, around + BEYOND * face.size), face)


def _feathered(inside: NDArray[np.float64], face: Face) -> NDArray[np.uint8]:
    soft = cv2.GaussianBlur(smoothstep(inside / (FEATHER * face.size)) * 255, (0, 0), FEATHER * face.size / 12)
    return np.asarray(np.rint(soft * _edge()).clip(0, 255), np.uint8)


def _oval(face: Face) -> NDArray[np.float64]:
    return face.points[OVAL, :2].astype(np.float64)


def _up(face: Face) -> NDArray[np.float64]:
    """(2,) from chin to forehead, of length 1."""
    up = (face.points[10, :2] - face.points[152, :2]).astype(np.float64)
    return np.asarray(up / max(float(np.linalg.norm(up)), 1e-6), np.float64)


def _grown(oval: NDArray[np.float64], up: NDArray[np.float64], by: float) -> NDArray[np.float64]:
    """The oval with its upper half drawn up, most at the top (or whichever way `up` points)."""
    height = (oval - oval.mean(axis=0)) @ up
    upper = np.clip(height / max(float(height.max()), 1e-6), 0.0, 1.0)
    return np.asarray(oval + upper[:, None] * up * by, np.float64)


def _depth(outline: NDArray[np.float64], side: int = ROI_SIZE_PX) -> NDArray[np.float64]:
    """(side, side) distance to the outline in pixels, positive inside and negative outside."""
    solid = np.zeros((side, side), np.uint8)
    cv2.fillPoly(solid, [np.rint(outline * 16).astype(np.int32)], (1,), shift=4)
    inner = cv2.distanceTransform(solid, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outer = cv2.distanceTransform(1 - solid, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(inner - outer, np.float64)


def _edge() -> NDArray[np.float64]:
    """Zero at the very edge of the ROI, wherever the face is."""
    at = np.minimum(np.arange(ROI_SIZE_PX), np.arange(ROI_SIZE_PX)[::-1]) / (OWN_MARGIN * ROI_SIZE_PX)
    ramp = np.clip(at, 0.0, 1.0)
    return np.outer(ramp, ramp)
