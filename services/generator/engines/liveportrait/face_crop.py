"""Where the networks want a face, from the studio's 478 points instead of the 106 and 203 they were used with.

Those clouds span from the brows to the chin and from cheek to cheek; so does BROWS_TO_CHIN here. How large a crop is
around such a cloud was measured on the 15 square clips and pictures that LivePortrait ships as drivers: their side is
2.05 of the cloud (median; the middle half 1.9 to 2.2; the nominal factor is 2.2 of 203 points) and their middle 0.12
sides above the cloud's (nominal 0.1). A source is cropped larger and higher by the same proportion. The models behind
the two clouds may not be used commercially and were not run: how they differ from face to face is not known here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.generator.engines.liveportrait.crop import Square, square
from services.generator.engines.liveportrait.keypoints import Array
from services.generator.engines.liveportrait.rules import Ratios
from shared.face import LEFT_EYE_CORNERS, LEFT_IRIS, LIP_BOTTOM, LIP_TOP, RIGHT_EYE_CORNERS, RIGHT_IRIS, Face

BROWS_TO_CHIN = np.array(
    [127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356]
    + [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
)
MOUTH = [61, 291]  # its outer corners
DRIVER = 2.05, -0.12  # scale and shift of a driver's crop
SOURCE = 2.05 * 2.3 / 2.2, -0.145
TINY = 1e-6


def source_square(face: Face) -> Square:
    """The crop of a portrait, turned upright."""
    return _square(face, *SOURCE)


def driver_square(face: Face) -> Square:
    """The crop of a driver, upright in the picture: how the head is turned is motion."""
    found = _square(face, *DRIVER)
    return Square(found.centre, found.side, 0.0)


def openings(face: Face) -> Ratios:
    """Openings of eyes and lips over their widths; the eye on the picture's left first, which is the subject's right."""
    points = face.points[:, :2].astype(np.float64)
    eyes = [_over(points, 159, 145, *RIGHT_EYE_CORNERS), _over(points, 386, 374, *LEFT_EYE_CORNERS)]
    lips = _over(points, LIP_TOP, LIP_BOTTOM, *MOUTH)
    return Ratios(np.array(eyes, np.float32), np.array(lips, np.float32))


def in_reference(scale: Array, t: Array, box: Square, reference: Square) -> tuple[Array, Array]:
    """Scale and shift measured in one upright crop as another would have measured them.

    A keypoint x in -1..1 lies at centre + x * side / 2; so following a driver with the crop takes nothing from its motion.
    """
    ratio = np.float32(box.side / reference.side)
    moved = t * ratio
    moved[:2] += (box.centre - reference.centre) * np.float32(2 / reference.side)
    return np.asarray(scale * ratio, np.float32), np.asarray(moved, np.float32)


def _square(face: Face, scale: float, shift: float) -> Square:
    points = face.points[:, :2]
    return square(
        points[BROWS_TO_CHIN], points[[RIGHT_IRIS, LEFT_IRIS]].mean(axis=0), points[MOUTH].mean(axis=0), scale, shift
    )


def _over(points: NDArray[Any], a: int, b: int, c: int, d: int) -> float:
    return float(np.linalg.norm(points[a] - points[b]) / (np.linalg.norm(points[c] - points[d]) + TINY))
