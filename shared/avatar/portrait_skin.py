"""Which pixels of a portrait are its face: not the hair, hat, shadow or background that lie inside its outline."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.skin import RGB_TO_YUV, YUV_BASE, skin_mask
from shared.face.features import feature_mask
from shared.face.landmarks import OVAL, RIGID, Face
from shared.media.array_types import FloatArray, ImageArray

STEP = 4  # pixels of the ROI in one of the matte
COARSE = 0.2  # of the face's size: smoothness of the skin's own colour
LIKE_LUMA, LIKE_CHROMA = 0.35, 14.0  # off the skin's median at which a pixel is believed 37 % to be skin
# How much darker than the skin around, and how far off its chroma: all skin up to the first, none from the second on.
DARKER = 0.25, 0.5
OFF = 16.0, 28.0
AROUND_FEATURES = 0.08  # eye distances around a feature that stay
SOFT = 0.02  # of the face's size
_FOLLOWED = np.unique(np.concatenate([RIGID, OVAL]))  # the points that say how the whole face lies


class PortraitSkin:
    """The matte of one portrait's face, and where it lies when the face has moved. roi: (S, S, 3) uint8 RGB."""

    def __init__(self, roi: ImageArray, face: Face) -> None:
        self.matte = portrait_skin(roi, face)
        points = face.points[_FOLLOWED, :2].astype(np.float64)
        self._from_points = np.linalg.pinv(np.column_stack([points, np.ones(len(points))]))

    def moved(self, face: Face) -> NDArray[np.uint8]:
        """(S / 4, S / 4) uint8 matte of the face as it has moved, in ROI pixels.

        The affine map nearest to its points.
        """
        matrix = (self._from_points @ face.points[_FOLLOWED, :2].astype(np.float64)).T
        offset = (STEP - 1) / 2
        matrix[:, 2] = (matrix[:, :2] @ (offset, offset) + matrix[:, 2] - offset) / STEP
        size = self.matte.shape[1], self.matte.shape[0]
        return np.asarray(cv2.warpAffine(self.matte, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def portrait_skin(roi: ImageArray, face: Face) -> NDArray[np.uint8]:
    """(S / 4, S / 4) uint8, 255 on the face's skin and features. roi: (S, S, 3) uint8 RGB; face: in its pixels."""
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
    # A little in from what is not skin, and soft: a strand is wider than its darkest pixels.
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
    """(H, W, 3) float32 smooth colour of the skin, carried on where there is none. weight: where skin is looked for."""
    sure = weight > 0.5
    middle = np.median(yuv[sure], axis=0)
    away = (yuv[..., 0] / max(float(middle[0]), 1.0) - 1) / LIKE_LUMA
    off = np.linalg.norm(yuv[..., 1:] - middle[1:], axis=2) / LIKE_CHROMA
    trust = (weight * np.exp(-(away**2) - off**2)).astype(np.float32)
    stack = np.dstack([yuv * trust[..., None], trust])
    near, far = (cv2.GaussianBlur(stack, (0, 0), each, borderType=cv2.BORDER_CONSTANT) for each in (sigma, 3 * sigma))
    both = near + 0.05 * far
    return np.asarray(both[..., :3] / np.maximum(both[..., 3:], 1e-9), np.float32)
