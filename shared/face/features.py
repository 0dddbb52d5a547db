"""Areas of a face's features: brows, eyes, nose and mouth."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import Face

# Outlines, as point numbers of `shared.face.landmarks`; the area of a feature is the convex hull of its outline.
_BROWS = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
_EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
_NOSE = (168, 6, 197, 195, 5, 4, 1, 2, 48, 278, 64, 294, 98, 327, 129, 358)
MOUTH = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
FEATURES = (*_BROWS, *_EYES, _NOSE, MOUTH)


def feature_mask(shape: tuple[int, int], faces: Iterable[Face]) -> NDArray[np.uint8]:
    """Return an (H, W) uint8 mask, 1 on the features of these faces. shape: (H, W), size of the image."""
    mask = np.zeros(shape, np.uint8)
    for face in faces:
        for outline in FEATURES:
            hull = cv2.convexHull(np.rint(face.points[list(outline), :2] * 16).astype(np.int32))
            cv2.fillConvexPoly(mask, hull, (1,), shift=4)
    return mask
