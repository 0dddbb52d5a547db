"""Relights a portrait: gives it the colour and the shading of the light on the plate's face.

The coarse colours around each landmark are compared between both faces. Colour is changed by one factor per channel for
the whole face, brightness by a smooth field, so that the shading is transferred and all details of the face remain.
Both are factors and not offsets, because light multiplies: black stays black.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.skin import RGB_TO_YUV, close_up, lit_pixels, skin_mask
from shared.easing import smoothstep
from shared.face.landmarks import OVAL, SURFACE, Face
from shared.media.array_types import ImageArray

COARSE_PX = 64  # size at which faces are compared
COARSE_SIGMA = 0.08  # relative to the face's size; finer structures belong to the face, coarser ones to the light
FIELD_SIGMA = 0.15  # relative to the face's size; smoothness of the correction
STRENGTH = 0.7  # share of the shading that is transferred; with all of it the portrait's own form would be lost
WHOLE_RANGE = 0.5, 2.0  # limits of the factors on red, green and blue of the whole face
LOCAL_RANGE = 0.8, 1.25  # limits of the local factors; larger ones come from hair, a hat or a shadow on one face only
LIKE_SKIN = 45.0  # difference in luma from the skin's median at which a pixel's weight falls to a third: hair, glasses
KNEE = 205.0
FADE = 0.3  # distance outside the face's outline, relative to its size, over which the correction fades out


def landmark_colours(rgb: ImageArray, face: Face) -> NDArray[np.float32]:
    """Return (468, 4) float32: coarse R, G and B of the skin around each landmark, and the confidence in them.

    The confidence is 0 to 1: low where there is little skin around, or where the surface is turned from the viewer.
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
    # The confident landmarks do not represent all of the skin, so its mean brightness is corrected after the shading.
    skin = skin_mask(face.points[:, :2], roi.shape[1], roi.shape[0]) > 0
    levels = (roi[skin] * whole * np.exp(field[skin])[:, None]) @ RGB_TO_YUV[0]
    reached = float(levels[lit_pixels(levels)].mean()) if len(levels) else luma
    whole = whole * np.clip(luma / max(reached, 1.0), *WHOLE_RANGE)
    factor = np.exp(_fade(face, roi.shape[0])[..., None] * (field[..., None] + np.log(whole)))
    return np.rint(_knee(roi * factor)).astype(np.uint8)


def _knee(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compress levels above KNEE towards 255 instead of clipping, which would make bright cheeks flat patches."""
    room = 255.0 - KNEE
    return np.asarray(np.where(value > KNEE, KNEE + room * np.tanh((value - KNEE) / room), value), np.float64)


def _facing(face: Face) -> NDArray[np.float64]:
    """(468,) weights: 1 where the surface faces the viewer, towards 0 where it turns away, for a spherical head."""
    points = face.points[:SURFACE].astype(np.float64)
    away = points - (points.mean(axis=0) + face.rotation[:, 2] * 0.6 * face.eye_distance)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    return np.asarray(np.clip(-away[:, 2] * 1.6, 0.05, 1.0), np.float64)


def _spread(face: Face, side: int, values: NDArray[np.float64], trust: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (side, side) smooth field of the (468,) values at the landmarks, weighted by trust."""
    step = 4  # enough resolution for a field this smooth
    small = side // step
    splat = np.zeros((small, small, 2))
    at = np.clip((face.points[:SURFACE, :2] / step).astype(int), 0, small - 1)
    np.add.at(splat, (at[:, 1], at[:, 0]), np.column_stack([values * trust, trust]))
    splat = np.asarray(cv2.GaussianBlur(splat, (0, 0), FIELD_SIGMA * face.size / step), np.float64)
    # Far from all landmarks the field becomes 0 instead of a quotient of two tiny numbers.
    field = splat[..., 0] / np.maximum(splat[..., 1], 1e-3 * splat[..., 1].max())
    return np.asarray(cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC), np.float64)


def _fade(face: Face, side: int) -> NDArray[np.float64]:
    outside = np.full((side, side), 255, np.uint8)
    cv2.fillConvexPoly(outside, cv2.convexHull(np.rint(face.points[OVAL, :2]).astype(np.int32)), (0,))
    away = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / (FADE * face.size)
    return smoothstep(np.asarray(1.0 - away, np.float64))
