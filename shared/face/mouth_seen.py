"""Checks whether the mouth in a portrait can be animated, and explains limits to the user."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face.features import MOUTH
from shared.face.landmarks import MOUTH_CORNERS, Face
from shared.media.array_types import ImageArray

# Patches of skin, as point numbers of `shared.face.landmarks`.
FOREHEAD = (109, 10, 338, 337, 151, 108)
ABOVE_LIPS = (164, 167, 393, 2, 97, 326)
CHIN = (199, 200, 208, 428, 175, 171, 396)
OTHER_COLOUR = 12.0  # distance of a and b in CIELAB: the skin of one face varies by less, except for a beard
PALER = 3.0  # difference of a in CIELAB: lips are at least as red as the forehead, a cover of them is not
OPEN_MOUTH, GRIN_WIDTH = 0.13, 0.76  # eye distances between the lips, and between the corners of the mouth


def mouth_covered(image: ImageArray, face: Face) -> bool:
    """Whether a mask or the like hides the mouth.

    This is assumed if lips, chin and the skin between lips and nose all differ in colour from the forehead and the lips
    are less red than it. False for a grey image. image: (H, W, 3) RGB, to whose pixels the face's points refer.
    """
    lips, above, chin, forehead = (_colour(image, face, part) for part in (MOUTH, ABOVE_LIPS, CHIN, FOREHEAD))
    differs = [float(np.linalg.norm(part - forehead)) > OTHER_COLOUR for part in (lips, above, chin)]
    return all(differs) and bool(lips[0] < forehead[0] - PALER)


def mouth_notes(image: ImageArray, face: Face, name: str) -> list[str]:
    """Return sentences about a mouth that cannot be animated well. name: the image's name in them."""
    height, width = image.shape[:2]
    lips = face.points[list(MOUTH), :2]
    if (lips < 0).any() or (lips >= (width, height)).any():
        return [f"The mouth in {name} lies outside the image; use a portrait that shows the whole face."]
    if mouth_covered(image, face):
        return [f"The mouth in {name} seems to be covered; the host keeps it closed. Use a portrait without a mask."]
    right, left = MOUTH_CORNERS
    wide = float(np.linalg.norm(face.points[right] - face.points[left])) / face.eye_distance > GRIN_WIDTH
    if wide or face.mouth_opening > OPEN_MOUTH:
        what = "grins" if wide else "has an open mouth"
        return [
            f"The face in {name} {what}, so the host cannot look calm and moves less. Use a portrait with closed lips."
        ]
    return []


def _colour(image: ImageArray, face: Face, part: tuple[int, ...]) -> NDArray[np.float64]:
    """(2,) median a and b of CIELAB in the hull of these points, zeros outside the image."""
    height, width = image.shape[:2]
    hull = cv2.convexHull(face.points[list(part), :2].astype(np.float32)).astype(np.int32)
    left, top, across, down = cv2.boundingRect(hull)
    x, y = max(0, left), max(0, top)
    cut = np.ascontiguousarray(image[y : max(y, min(height, top + down)), x : max(x, min(width, left + across))])
    if not cut.size:
        return np.zeros(2)
    cover = np.zeros(cut.shape[:2], np.uint8)
    cv2.fillConvexPoly(cover, hull - np.array([x, y], np.int32), (255,))
    seen = cv2.cvtColor(cut.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[cover > 0]
    return np.median(seen[:, 1:], axis=0).astype(np.float64) if len(seen) else np.zeros(2)
