"""Soft masks in ROI pixels, which define where the ROI covers the plate."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.model import ROI_SIZE_PX
from shared.avatar.portrait_skin import PortraitSkin
from shared.easing import smoothstep
from shared.face import similarity
from shared.face.landmarks import OVAL, Face

OWN_RIM = 0.08  # width of the ramp from 0 at the ROI's edge to 1 inside, relative to its side
OWN_MARGIN = 0.02  # width of the empty margin relative to the ROI's side, which hides resampling at the edge
FEATHER = 0.12  # width of the ramp inwards from a face's outline, relative to its size, for a face on a foreign body
FOREHEAD = 0.06  # of the face's size, by which the oval, which ends above the brows, is extended to the hairline
JAW = 0.05  # of the face's size, by which the bound of a moving face extends below the chin for an open mouth
MATTE_STEP = 4  # factor by which a moving matte is drawn smaller, since it is soft anyway
BEYOND = 0.03  # of the face's size, by which the mask may extend beyond the plate's own face


def own_mask() -> NDArray[np.uint8]:
    """Return the (512, 512) uint8 mask for a plate that is the portrait itself: the whole ROI with a soft edge."""
    at = (np.arange(ROI_SIZE_PX) + 0.5) / ROI_SIZE_PX
    ramp = smoothstep((np.minimum(at, 1.0 - at) - OWN_MARGIN) / OWN_RIM)
    return np.asarray(np.rint(np.outer(ramp, ramp) * 255), np.uint8)


def moving_matte(face: Face, bound: NDArray[np.uint8], skin: PortraitSkin | None = None) -> NDArray[np.uint8]:
    """Return the (512, 512) uint8 matte of a moved face on a foreign body, for engines to call in each frame (0.4 ms).

    face: the moved face, in ROI pixels. bound: the avatar's mask, which limits the matte. Where the head has turned
    away from its rest pose, the plate's own skin shows instead of the portrait's hair or background. skin: likewise
    excludes hair and background inside the face's outline.
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
    """Return the (512, 512) uint8 mask of a face on a foreign body, which is also the limit of its moving matte.

    face: in ROI pixels, in its rest pose. plate_oval: (36, 2) outline of the plate's face in ROI pixels, beyond which a
    wider portrait's face would float over the background.
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
    """The (2,) unit vector from chin to forehead."""
    up = (face.points[10, :2] - face.points[152, :2]).astype(np.float64)
    return np.asarray(up / max(float(np.linalg.norm(up)), 1e-6), np.float64)


def _grown(oval: NDArray[np.float64], up: NDArray[np.float64], by: float) -> NDArray[np.float64]:
    """The oval with the half in the direction `up` extended by up to `by`, most at its end."""
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
    """A ramp from 0 at the ROI's edge to 1 at OWN_MARGIN, regardless of the face."""
    at = np.minimum(np.arange(ROI_SIZE_PX), np.arange(ROI_SIZE_PX)[::-1]) / (OWN_MARGIN * ROI_SIZE_PX)
    ramp = np.clip(at, 0.0, 1.0)
    return np.outer(ramp, ramp)
