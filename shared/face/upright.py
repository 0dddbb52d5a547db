"""Finds the upright orientation of an image by its face, for files that do not state it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face.networks.detector import FULL_RANGE, FaceDetector
from shared.face.tracker import FaceTracker

SIDE_PX = 1280  # longest side of the examined image: the detector scales each part of it to 192 pixels
SURE = 0.9  # score of a face at which the image counts as upright without trying turns
# A turn is accepted if the face's score after it is at least LIKELY and higher by CLEARER than without the turn; for a
# score of WELL_SEEN or more, A_LITTLE_CLEARER suffices.
LIKELY, CLEARER = 0.6, 0.25
WELL_SEEN, A_LITTLE_CLEARER = 0.8, 0.1
MOST_ROLL = 45.0  # degrees of roll after the turn; with more, the face was closer to upright before it
FLOOR = 0.2  # lower scores are ignored
PARTS = (1, 2, 3)  # numbers of parts across, tried until a face is found: small faces are not found in the whole image

_TURNS = (None, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


def turned(image: NDArray[np.uint8], quarters: int) -> NDArray[np.uint8]:
    """Return an image turned clockwise by this number of quarter turns."""
    turn = _TURNS[quarters % 4]
    return image if turn is None else np.asarray(cv2.rotate(image, turn), np.uint8)


def quarters_to_upright(rgb: NDArray[np.uint8]) -> int:
    """Return the number of clockwise quarter turns that make the face of a (H, W, 3) uint8 RGB image upright.

    0 if this is not clear. Takes about 10 ms for a clearly upright face, 80 ms for another one, and 1 s without a face.
    """
    detector = FaceDetector(FULL_RANGE, FLOOR)
    small = _small(rgb)
    for across in PARTS:
        as_it_is = _best(detector, small, across)
        if as_it_is >= SURE:
            return 0
        scores = [as_it_is, *(_best(detector, turned(small, quarters), across) for quarters in (1, 2, 3))]
        best = int(np.argmax(scores))
        if scores[best] >= LIKELY:
            needed = A_LITTLE_CLEARER if scores[best] >= WELL_SEEN else CLEARER
            return best if scores[best] - as_it_is >= needed and _leans_little(turned(small, best)) else 0
    return 0


def _leans_little(rgb: NDArray[np.uint8]) -> bool:
    face = next(iter(FaceTracker(still=True, max_faces=1).faces(rgb)), None)
    return face is None or abs(face.pose.roll) <= MOST_ROLL


def _small(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    scale = SIDE_PX / max(height, width)
    if scale >= 1.0:
        return rgb
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _best(detector: FaceDetector, rgb: NDArray[np.uint8], across: int) -> float:
    """The best face's score in square parts that overlap by half, `across` of them on the shorter side."""
    height, width = rgb.shape[:2]
    if across == 1:
        return max((each.score for each in detector.find(rgb)), default=0.0)
    side = max(64, round(min(height, width) * 2 / (across + 1)))
    scores = [
        each.score
        for y in range(0, max(1, height - side // 2), max(1, side // 2))
        for x in range(0, max(1, width - side // 2), max(1, side // 2))
        for each in detector.find(np.ascontiguousarray(rgb[y : y + side, x : x + side]))
    ]
    return max(scores, default=0.0)
