"""A portrait in its body's light: its colour, and where the plate's face is bright or shaded, so is the portrait's.

The colour around each landmark, coarsely, is compared between both faces. Colour changes as a whole, brightness by a
smooth field over the portrait, so that shading follows and every detail of the face stays. Both are factors, not
sums: light multiplies, and what is black stays black.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.skin import RGB_TO_YUV, close_up, lit_pixels, skin_mask
from shared.easing import smoothstep
from shared.face.landmarks import OVAL, SURFACE, Face
from shared.media.array_types import ImageArray

COARSE_PX = 64  # faces are compared at this size
COARSE_SIGMA = 0.08  # of the face's size: what is finer is the face, what is coarser the light on it
FIELD_SIGMA = 0.15  # of the face's size: smoothness of the correction
STRENGTH = 0.7  # a little of the portrait's own light is left, or its form would go with it
WHOLE_RANGE = 0.5, 2.0  # factors on red, green and blue of the whole face
LOCAL_RANGE = 0.8, 1.25  # factors on a place beyond that: more is hair, a hat or a shadow that one face has alone
LIKE_SKIN = 45.0  # levels of luma off the skin's median at which a pixel is believed only a third: hair, glasses
KNEE = 205.0
FADE = 0.3  # of the face's size outside its outline over which the correction goes to nothing


def landmark_colours(rgb: ImageArray, face: Face) -> NDArray[np.float32]:
    """Coarse R, G and B of the skin around each landmark, and how far that is to be trusted: (468, 4) float32.

    The trust is 0 to 1: little where there is no skin around, or the surface turns away from the viewer.
    """
    image, points = close_up(rgb, face, COARSE_PX)
    small, side = image.astype(np.float32), image.shape[0]
    weight = skin_mask(points, side, side).astype(np.float32) / 255.0
    luma = small @ RGB_TO_YUV[0].astype(np.float32)
    if weight.any():
        weight *= np.exp(-(((luma - np.median(luma[weight > 0])) / LIKE_SKIN) ** 2))
    sigma = COARSE_SIGMA * COARSE_PX
    total = cv2.GaussianBlur(weight, (0, 0), sigma)
    coarse = cv2.GaussianBlur(small * weight[..., None], (0, 0), sigma) / np.maximum(total, 1e-3)[..., None]
    at = np.clip(np.rint(points[:SURFACE]).astype(int), 0, side - 1)
    trust = np.clip(total[at[:, 1], at[:, 0]] * 2.0, 0.0, 1.0) * _facing(face)
    return np.column_stack([coarse[at[:, 1], at[:, 0]], trust]).astype(np.float32)


def relight(
    roi: ImageArray, face: Face, own: NDArray[np.float32], plate: NDArray[np.float32], luma: float
) -> ImageArray:
    """The ROI (S, S, 3) uint8 RGB in the plate's light.

    own, plate: (468, 4), see `landmark_colours`. luma: mean of the plate's lit skin above black, 0 to 219 (see
    `shared.avatar.skin.SkinLight`).
    """
    trust = (own[:, 3] * plate[:, 3]).astype(np.float64)
    if float(trust.sum()) < 1.0:
        return roi
    mine, wanted = (np.maximum(each[:, :3].astype(np.float64), 8.0) for each in (own, plate))
    whole = np.average(wanted, axis=0, weights=trust) / np.average(mine, axis=0, weights=trust)
    whole = np.clip(whole, *WHOLE_RANGE)
    local = np.log((wanted @ RGB_TO_YUV[0]) / ((mine * whole) @ RGB_TO_YUV[0]))
    local = np.clip(local, *np.log(LOCAL_RANGE))
    field = STRENGTH * _spread(face, roi.shape[0], local, trust)
    # What is trusted is not all of the skin: its mean brightness is set right once the shading is.
    skin = skin_mask(face.points[:, :2], roi.shape[1], roi.shape[0]) > 0
    levels = (roi[skin] * whole * np.exp(field[skin])[:, None]) @ RGB_TO_YUV[0]
    reached = float(levels[lit_pixels(levels)].mean()) if len(levels) else luma
    whole = whole * np.clip(luma / max(reached, 1.0), *WHOLE_RANGE)
    factor = np.exp(_fade(face, roi.shape[0])[..., None] * (field[..., None] + np.log(whole)))
    return np.rint(_knee(roi * factor)).astype(np.uint8)


def _knee(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels above KNEE bent towards 255 instead of cut off, or bright cheeks would turn into flat patches."""
    room = 255.0 - KNEE
    return np.asarray(np.where(value > KNEE, KNEE + room * np.tanh((value - KNEE) / room), value), np.float64)


def _facing(face: Face) -> NDArray[np.float64]:
    """(468,) 1 where the surface faces the viewer, towards 0 where it turns away; the head taken for a ball."""
    points = face.points[:SURFACE].astype(np.float64)
    away = points - (points.mean(axis=0) + face.rotation[:, 2] * 0.6 * face.eye_distance)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    return np.asarray(np.clip(-away[:, 2] * 1.6, 0.05, 1.0), np.float64)


def _spread(face: Face, side: int, values: NDArray[np.float64], trust: NDArray[np.float64]) -> NDArray[np.float64]:
    """(side, side) smooth field through the (468,) values at the landmarks."""
    step = 4  # a field this smooth needs no more
    small = side // step
    splat = np.zeros((small, small, 2))
    at = np.clip((face.points[:SURFACE, :2] / step).astype(int), 0, small - 1)
    np.add.at(splat, (at[:, 1], at[:, 0]), np.column_stack([values * trust, trust]))
    splat = np.asarray(cv2.GaussianBlur(splat, (0, 0), FIELD_SIGMA * face.size / step), np.float64)
    # Far from every landmark the field is none rather than a quotient of nothings.
    field = splat[..., 0] / np.maximum(splat[..., 1], 1e-3 * splat[..., 1].max())
    return np.asarray(cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC), np.float64)


def _fade(face: Face, side: int) -> NDArray[np.float64]:
    outside = np.full((side, side), 255, np.uint8)
    cv2.fillConvexPoly(outside, cv2.convexHull(np.rint(face.points[OVAL, :2]).astype(np.int32)), (0,))
    away = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / (FADE * face.size)
    return smoothstep(np.asarray(1.0 - away, np.float64))
