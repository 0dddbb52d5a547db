"""Measure how a composited face changes the plate's bare skin: where it is darkened, lightened or discoloured.

The brows, eyes, nose and mouth of both faces, with a margin, are left out: there the composite differs because it shows
another face. What remains is the skin around them, where a portrait's hair, shadow, background or lighting is visible
as a seam.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.detail import filled
from shared.face.features import feature_mask
from shared.face.landmarks import OVAL, Face
from shared.media.array_types import ImageArray

GROWN = 0.2  # eye distances: margin around the features that are left out
BLUR_SIGMA = 0.03  # eye distances; finer detail is texture
BARE = 0.75  # of the skin's median luma; darker pixels are hair or shade in the plate itself
MOVED = 0.25  # of that median; a larger change is visible
DISCOLOURED = 12.0  # distance in the a, b plane of CIE Lab


@dataclass(frozen=True, slots=True)
class Seam:
    """Figures of one frame, and the pixels that they are taken from.

    darker, lighter, discoloured: shares of the plate's bare skin, 0 to 1. bare: (H, W) bool, that skin; marks: (H, W)
    uint8, 1 where it is darker, 2 lighter, 3 discoloured alone, 0 elsewhere.
    """

    darker: float
    lighter: float
    discoloured: float
    bare: NDArray[np.bool_]
    marks: NDArray[np.uint8]


def measure_seam(plate: ImageArray, shown: ImageArray, plate_face: Face, shown_face: Face) -> Seam | None:
    """Measure the seam of one frame; None if no skin of the plate is left to examine.

    plate, shown: (H, W, 3) uint8 RGB, the frame without and with the face. plate_face, shown_face: the faces in them,
    in pixels of these frames.
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
