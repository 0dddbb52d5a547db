"""The portrait in two layers: the person, who moves, and the background behind, which is filled in once."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import SURFACE, Face
from shared.face.networks.segmenter import PersonSegmenter

# A segmentation probability below UNSURE counts as background, above SURE as person.
UNSURE, SURE = 0.25, 0.85
FILL_SIZE_PX = 160  # the background is filled in at this size: only a strip of it beside the head is ever visible
MATTE_MARGIN_PX = 23  # pixels around the matte that may still belong to the person (hair, glow)


@dataclass(frozen=True, slots=True)
class PortraitLayers:
    """A portrait split into person and background.

    person: (S, S, 4) uint8 RGBA, colour premultiplied. background: (S, S, 3) uint8 RGB. The person over the background
        reproduces the portrait to within rounding: the person layer contains the difference between the portrait and
        the background seen through the matte, so no matting error shows at rest.
    """

    person: NDArray[np.uint8]
    background: NDArray[np.uint8]


def split_portrait(roi: NDArray[np.uint8], face: Face) -> PortraitLayers:
    """Split a (S, S, 3) uint8 RGB portrait."""
    alpha = matte(roi, face)
    back = np.floor(_filled(roi, alpha)).clip(0, 255)
    portrait = roi.astype(np.float32)
    # Where the portrait is darker than the filled-in background, something is in front of it: strands of hair that the
    # segmentation missed. They join the person layer, with a matte of exactly that darkness.
    strands = 1.0 - (portrait / np.maximum(back, 1.0)).min(axis=2)
    alpha8 = np.ceil(np.maximum(alpha, strands).clip(0, 1) * 255.0)
    seen = np.floor(
        ((255.0 - alpha8)[..., None] * back + 127.0) / 255.0
    )  # rounded exactly as in `rasterizer.blend_covered`
    person = np.concatenate([np.clip(portrait - seen, 0, 255), alpha8[..., None]], axis=2)
    return PortraitLayers(np.ascontiguousarray(person, np.uint8), np.ascontiguousarray(back, np.uint8))


def matte(roi: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
    """Return the matte of the person with hair and shoulders, (S, S) float32 0 to 1, from the selfie segmentation.

    A guided filter (He et al., PAMI 2013) aligns its edge with the edges of the image.
    """
    probability = PersonSegmenter().find(roi)
    head = np.zeros(roi.shape[:2], np.uint8)
    cv2.fillConvexPoly(head, cv2.convexHull(face.points[:SURFACE, :2].copy()).astype(np.int32), (255,))
    probability = np.maximum(probability, (head > 0).astype(np.float32))
    guided = cv2.ximgproc.guidedFilter(roi, probability, 8, 60.0)
    alpha = np.clip((guided - UNSURE) / (SURE - UNSURE), 0.0, 1.0)
    alpha[head > 0] = 1.0
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), 0.8), np.float32)


def _filled(roi: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the background, (S, S, 3) float32, continued behind the person by inpainting (Telea, 2004)."""
    size = roi.shape[0]
    person = cv2.dilate((alpha > 0.04).astype(np.uint8), np.ones((2 * MATTE_MARGIN_PX + 1,) * 2, np.uint8))
    small = cv2.resize(roi, (FILL_SIZE_PX, FILL_SIZE_PX), interpolation=cv2.INTER_AREA)
    hole = cv2.resize(person, (FILL_SIZE_PX, FILL_SIZE_PX), interpolation=cv2.INTER_AREA)
    hole = ((hole > 0) * 255).astype(np.uint8)
    if hole.all():
        return roi.astype(np.float32)
    # the deep inside is never uncovered: one colour fills it, so that the slow inpainting covers only a strip
    strip = hole.copy()
    deep = cv2.erode(hole, np.ones((41, 41), np.uint8)) > 0
    small[deep] = np.median(small[hole == 0], axis=0)
    strip[deep] = 0
    filled = cv2.inpaint(small, strip, 4, cv2.INPAINT_TELEA)
    filled = cv2.GaussianBlur(filled, (0, 0), 1.0)
    wide = cv2.resize(filled, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    inner = cv2.erode(person, np.ones((MATTE_MARGIN_PX, MATTE_MARGIN_PX), np.uint8)).astype(np.float32)
    share = np.maximum(cv2.GaussianBlur(inner, (0, 0), MATTE_MARGIN_PX / 5), alpha)[..., None]
    return np.asarray(roi * (1.0 - share) + wide * share, np.float32)
