"""Which way up an image of a face is: what a file does not say, the face does."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face.networks.detector import FULL_RANGE, FaceDetector
from shared.face.tracker import FaceTracker

SIDE_PX = 1280  # of what is looked at, at most: the detector sees 192 pixels of a part
SURE = 0.9  # score of a face that is the right way up: nothing else is looked at
# Score of one that is so after a turn, at least; and by how much it is more than without: less where it is well seen.
LIKELY, CLEARER = 0.6, 0.25
WELL_SEEN, A_LITTLE_CLEARER = 0.8, 0.1
MOST_ROLL = 45.0  # degrees that a face leans after the turn: more, and it was nearer to upright before
FLOOR = 0.2  # scores below it are not looked at
PARTS = (1, 2, 3)  # parts across, until a face is found: a small one in a large image is not seen in the whole

_TURNS = (None, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


def turned(image: NDArray[np.uint8], quarters: int) -> NDArray[np.uint8]:
    """An image turned clockwise by so many quarters of a full turn."""
    turn = _TURNS[quarters % 4]
    return image if turn is None else np.asarray(cv2.rotate(image, turn), np.uint8)


def quarters_to_upright(rgb: NDArray[np.uint8]) -> int:
    """Quarter turns clockwise after which the face of a (H, W, 3) uint8 RGB image is upright.

    0 where that is not clear.

    Some 10 ms where a face is clearly upright, 80 ms where it is not, and 1 s where none is found.
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
    """The surest face's score among square parts that overlap by half, so many across the shorter side."""
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
