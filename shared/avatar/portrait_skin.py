"""Mattes of a portrait's face without the hair, hat, shadow or background inside the face's outline."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.skin import RGB_TO_YUV, YUV_BASE, skin_mask
from shared.face.features import feature_mask
from shared.face.landmarks import OVAL, RIGID, Face
from shared.media.array_types import FloatArray, ImageArray

STEP = 4  # ROI pixels per pixel of the matte
COARSE = 0.2  # sigma, relative to the face's size, of the smooth colour of the skin
LIKE_LUMA, LIKE_CHROMA = 0.35, 14.0  # differences from the skin's median at which a pixel's weight falls to 37 %
# Darkness relative to the surrounding skin and difference in chroma: skin up to the first value, none from the second.
DARKER = 0.25, 0.5
OFF = 16.0, 28.0
AROUND_FEATURES = 0.08  # margin around features that always belongs to the face, in eye distances
SOFT = 0.02  # sigma of the matte's edge, relative to the face's size
_FOLLOWED = np.unique(np.concatenate([RIGID, OVAL]))  # points that define the position of the whole face


class PortraitSkin:
    """The matte of a portrait's face, and its transformation to moved faces. roi: (S, S, 3) uint8 RGB."""

    def __init__(self, roi: ImageArray, face: Face) -> None:
        self.matte = portrait_skin(roi, face)
        points = face.points[_FOLLOWED, :2].astype(np.float64)
        self._from_points = np.linalg.pinv(np.column_stack([points, np.ones(len(points))]))

    def moved(self, face: Face) -> NDArray[np.uint8]:
        """Return the (S / 4, S / 4) uint8 matte of the moved face, by the affine map that fits its points best.

        face: in ROI pixels.
        """
        matrix = (self._from_points @ face.points[_FOLLOWED, :2].astype(np.float64)).T
        offset = (STEP - 1) / 2
        matrix[:, 2] = (matrix[:, :2] @ (offset, offset) + matrix[:, 2] - offset) / STEP
        size = self.matte.shape[1], self.matte.shape[0]
        return np.asarray(cv2.warpAffine(self.matte, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def portrait_skin(roi: ImageArray, face: Face) -> NDArray[np.uint8]:
    """Return an (S / 4, S / 4) uint8 matte, 255 on the face's skin and features.

    roi: (S, S, 3) uint8 RGB. face: in ROI pixels.
    """
    side = roi.shape[0] // STEP
    small = cv2.resize(roi, (side, side), interpolation=cv2.INTER_AREA)
    yuv = (small.astype(np.float64) @ RGB_TO_YUV.T + YUV_BASE).astype(np.float32)
    yuv[..., 0] -= 16
    mask = cv2.resize(skin_mask(face.points[:, :2], *roi.shape[1::-1]), (side, side), interpolation=cv2.INTER_AREA)
    looked_at = np.asarray(mask / np.float32(255), np.float32)
    skin = _skin_colour(yuv, looked_at, COARSE * face.size / STEP)
    darker = 1 - yuv[..., 0] / np.maximum(skin[..., 0], 1)
    off = np.linalg.norm(yuv[..., 1:] - skin[..., 1:], axis=2)
    is_skin = np.clip((DARKER[1] - darker) / (DARKER[1] - DARKER[0]), 0, 1) * np.clip(
        (OFF[1] - off) / (OFF[1] - OFF[0]), 0, 1
    )
    # Shrink the skin slightly and soften it: a strand of hair is wider than its darkest pixels.
    soft = max(SOFT * face.size / STEP, 0.5)
    is_skin = cv2.GaussianBlur(cv2.erode(is_skin, np.ones((3, 3))), (0, 0), soft)
    kept = feature_mask(roi.shape[:2], [face])
    points = cv2.findNonZero(kept)
    if points is not None:
        cv2.fillConvexPoly(kept, cv2.convexHull(points), (1,))  # cheeks and nose between eyes and mouth are not hair
    apart = cv2.distanceTransform(1 - kept, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    feature = 1 - np.clip(apart / (AROUND_FEATURES * face.eye_distance), 0, 1)
    feature = cv2.resize(feature, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(np.maximum(is_skin, feature) * 255), np.uint8)


def _skin_colour(yuv: FloatArray, weight: FloatArray, sigma: float) -> FloatArray:
    """The (H, W, 3) float32 smooth colour of the skin, extrapolated to other pixels. weight: (H, W), each pixel's."""
    sure = weight > 0.5
    middle = np.median(yuv[sure], axis=0)
    away = (yuv[..., 0] / max(float(middle[0]), 1.0) - 1) / LIKE_LUMA
    off = np.linalg.norm(yuv[..., 1:] - middle[1:], axis=2) / LIKE_CHROMA
    trust = (weight * np.exp(-(away**2) - off**2)).astype(np.float32)
    stack = np.dstack([yuv * trust[..., None], trust])
    near, far = (cv2.GaussianBlur(stack, (0, 0), each, borderType=cv2.BORDER_CONSTANT) for each in (sigma, 3 * sigma))
    both = near + 0.05 * far
    return np.asarray(both[..., :3] / np.maximum(both[..., 3:], 1e-9), np.float32)
