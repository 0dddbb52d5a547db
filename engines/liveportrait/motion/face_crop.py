"""Where the networks want a face, from the studio's 478 points instead of the 106 and 203 they were used with.

Those clouds span from the brows to the chin and from cheek to cheek; so does BROWS_TO_CHIN here. How large a crop is
around such a cloud was measured on the 15 square clips and images that LivePortrait ships as drivers: their side is
2.05 of the cloud (median; the middle half 1.9 to 2.2; the nominal factor is 2.2 of 203 points) and their middle 0.12
sides above the cloud's (nominal 0.1). A source is cropped larger and higher by the same proportion. The models behind
the two clouds may not be used commercially and were not run: how they differ from face to face is not known here.

Openings are compared with those that the 203 points gave for five clips that LivePortrait shipped as video first and as
templates later (633 frames). Eyes: correlation 0.87 to 0.99 in each clip, but ours are read less open when open and
less closed when closed (0.07 for their 0.02, 0.49 for their 0.55), so they are stretched by EYES; with what the other
four clips give, a clip is off by 0.022 to 0.035 (root mean square) instead of 0.026 to 0.062, and by more than before
in one of the five. Lips: the same within 0.01 up to an opening of 0.3, so they are taken as they are; beyond it ours
grow more (0.80 for their 0.61, in a single clip).
"""

import numpy as np
from numpy.typing import NDArray

from engines.liveportrait.motion.crop import Square, square
from engines.liveportrait.motion.retarget_rules import Ratios
from shared.face.landmarks import LEFT_IRIS, MOUTH_CORNERS, RIGHT_IRIS, Face
from shared.media.array_types import FloatArray

BROWS_TO_CHIN = np.array(
    [127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356]
    + [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
)
DRIVER = 2.05, -0.12  # scale and shift of a driver's crop
EYES = 1.26, -0.05  # gain and offset of the eyes' openings
SOURCE = 2.05 * 2.3 / 2.2, -0.145


def source_square(face: Face) -> Square:
    """The crop of a portrait, turned upright."""
    return _square(face, *SOURCE)


def driver_square(face: Face) -> Square:
    """The crop of a driver, upright in the image: how the head is turned is motion."""
    found = _square(face, *DRIVER)
    return Square(found.centre, found.side, 0.0)


def openings(face: Face) -> Ratios:
    """Openings of eyes and lips over their widths; the eye on the image's left first, which is the subject's right."""
    return ratios(face.opening_ratios)


def ratios(measured: NDArray[np.float32]) -> Ratios:
    """The ratios from (3,) `Face.opening_ratios`."""
    gain, offset = EYES
    return Ratios(np.maximum(measured[:2] * np.float32(gain) + np.float32(offset), np.float32(0.0)), measured[2])


def in_reference(scale: FloatArray, t: FloatArray, box: Square, reference: Square) -> tuple[FloatArray, FloatArray]:
    """Scale and shift measured in one upright crop as another would have measured them.

    A keypoint x in -1..1 lies at centre + x * side / 2; so following a driver with the crop takes nothing from its
    motion.
    """
    ratio = np.float32(box.side / reference.side)
    moved = t * ratio
    moved[:2] += (box.centre - reference.centre) * np.float32(2 / reference.side)
    return np.asarray(scale * ratio, np.float32), np.asarray(moved, np.float32)


def _square(face: Face, scale: float, shift: float) -> Square:
    points = face.points[:, :2]
    eyes, mouth = (points[list(each)].mean(axis=0) for each in ((RIGHT_IRIS, LEFT_IRIS), MOUTH_CORNERS))
    return square(points[BROWS_TO_CHIN], eyes, mouth, scale, shift)
