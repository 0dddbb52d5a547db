"""What a composited face does to the plate's bare skin: darkened, lightened or discoloured, and how sharp the face is.

Both faces' brows, eyes, nose and mouth, grown, are left out: there the composite differs because it shows another face.
What remains is the skin around them, where a portrait's hair, shadow or background, or another light, is seen as a seam.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face.features import feature_mask
from shared.face.landmarks import OVAL, Face
from shared.media.array_types import ImageArray

GROWN = 0.2  # of the eye distance by which features are grown before they are left out
BLUR_SIGMA = 0.03  # of the eye distance: what is finer is texture
BARE = 0.75  # of the skin's median luma; darker is hair or shade of the plate's own
MOVED = 0.25  # of that median: darker or lighter by more is seen
DISCOLOURED = 12.0  # distance in the a, b plane of CIE Lab
INNER = 0.8  # of the oval: where sharpness is measured


@dataclass(frozen=True, slots=True)
class Seam:
    """One frame's figures and where they come from.

    darker, lighter, discoloured: shares of the plate's bare skin, 0 to 1. bare: (H, W) bool, that skin; marks: (H, W)
    uint8, 1 where it is darker, 2 lighter, 3 discoloured alone, 0 elsewhere.
    """

    darker: float
    lighter: float
    discoloured: float
    bare: NDArray[np.bool_]
    marks: NDArray[np.uint8]


def measure_seam(plate: ImageArray, shown: ImageArray, plate_face: Face, shown_face: Face) -> Seam | None:
    """The seam of one frame; None where none of the plate's skin is left to look at.

    plate, shown: (H, W, 3) uint8 RGB, the frame without and with the face. plate_face, shown_face: the faces in them, in
    their pixels.
    """
    shape, eyes = plate.shape[:2], plate_face.eye_distance
    skin = filled(shape, plate_face.points[OVAL, :2]) & ~_features(shape, (plate_face, shown_face), GROWN * eyes)
    if not skin.any():
        return None
    (luma, chroma), (luma_shown, chroma_shown) = (_blurred_lab(each, BLUR_SIGMA * eyes) for each in (plate, shown))
    median = float(np.median(luma[skin]))
    bare = skin & (luma > BARE * median)
    darker = bare & (luma_shown < luma - MOVED * median)
    lighter = bare & (luma_shown > luma + MOVED * median)
    discoloured = bare & (np.linalg.norm(chroma_shown - chroma, axis=2) > DISCOLOURED)
    marks = np.where(darker, 1, np.where(lighter, 2, np.where(discoloured, 3, 0))).astype(np.uint8)
    whole = int(np.count_nonzero(bare))
    shares = [float(np.count_nonzero(each) / whole) for each in (darker, lighter, discoloured)]
    return Seam(shares[0], shares[1], shares[2], bare, marks)


def relative_detail(rgb: ImageArray, face: Face) -> float:
    """Mean absolute Laplacian of the luma inside a face, over its mean luma there: detail that light does not change."""
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


def _features(shape: tuple[int, ...], faces: tuple[Face, ...], by: float) -> NDArray[np.bool_]:
    """(H, W) bool, True on the features of these faces and `by` pixels around."""
    away = cv2.distanceTransform(1 - feature_mask((shape[0], shape[1]), faces), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away <= by, np.bool_)


def _blurred_lab(rgb: ImageArray, sigma: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Luma (H, W), 0 to 255, and chroma (H, W, 2), Lab a and b, both float32, of a blurred image."""
    soft = cv2.GaussianBlur(rgb.astype(np.float32) / 255, (0, 0), max(sigma, 0.1))
    lab = cv2.cvtColor(soft, cv2.COLOR_RGB2LAB)
    luma = cv2.cvtColor(soft, cv2.COLOR_RGB2GRAY) * 255
    return np.asarray(luma, np.float32), np.asarray(lab[..., 1:], np.float32)
