"""Detail of a face: its measurement, and sharpening that compensates for losses by resampling."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face import similarity
from shared.face.landmarks import OVAL, Face
from shared.media.array_types import ImageArray

INNER = 0.8  # part of the oval in which detail is measured
UNSHARP_SIGMA = 1.2  # pixels; structures finer than this are detail
# Share of the portrait's detail to reach. Below 1, because fitting a face to its body's light adds up to a quarter,
# mostly where it darkens the face.
WANTED = 0.95
MOST = 1.0  # strength above which halos are visible


def relative_detail(rgb: ImageArray, face: Face) -> float:
    """Return a measure of a face's detail that does not depend on its brightness.

    This is the mean absolute Laplacian of the luma inside the face divided by the mean luma there. rgb: (H, W, 3)
    uint8. face: in pixels of rgb.
    """
    outline = face.points[OVAL, :2]
    centre = outline.mean(axis=0)
    inside = filled(rgb.shape[:2], centre + (outline - centre) * INNER)
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    if not inside.any():
        return 0.0
    detail = np.abs(cv2.Laplacian(luma, cv2.CV_32F))[inside]
    return float(detail.mean() / max(float(luma[inside].mean()), 1.0))


def filled(shape: tuple[int, ...], outline: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """(H, W) bool, True inside the convex hull of (N, 2) points."""
    mask = np.zeros(shape[:2], np.uint8)
    hull = cv2.convexHull(np.rint(np.asarray(outline) * 16).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, (1,), shift=4)
    return mask > 0


def sharpened(image: ImageArray, strength: float) -> ImageArray:
    """Apply an unsharp mask to a (H, W, 3) uint8 image. strength: 0 leaves the image unchanged."""
    soft = cv2.GaussianBlur(image, (0, 0), UNSHARP_SIGMA)
    return np.asarray(cv2.addWeighted(image, 1.0 + strength, soft, -strength, 0.0), np.uint8)


def sharpened_for_drawing(
    image: ImageArray, face: Face, draw: Callable[[ImageArray], ImageArray], drawn_face: Face, scale: float
) -> ImageArray:
    """Sharpen the (H, W, 3) uint8 image of a face to compensate for the detail that drawing it loses.

    face: in pixels of the image. draw: returns the image as it is drawn. drawn_face: the face in the drawn image.
    scale: factor by which the drawn image is resized for display; a small one hides losses.
    """
    own = _shown_detail(image, face, scale)
    plain = _shown_detail(draw(image), drawn_face, scale)
    most = _shown_detail(draw(sharpened(image, MOST)), drawn_face, scale)
    lacking = WANTED * own - plain
    if lacking <= 0.0 or most <= plain:
        return image
    return sharpened(image, MOST * min(1.0, lacking / (most - plain)))  # detail grows in proportion to the strength


def _shown_detail(image: ImageArray, face: Face, scale: float) -> float:
    if scale >= 1.0:
        return relative_detail(image, face)
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return relative_detail(small, face.moved(similarity.resize_matrix(scale, scale)))
