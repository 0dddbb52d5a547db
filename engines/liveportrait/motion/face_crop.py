"""The crop and the eye and lip openings that the networks expect, from the studio's 478 points.

The networks were trained with 106 and 203 points instead. Those point sets span from the brows to the chin and from
cheek to cheek; so does BROWS_TO_CHIN here. The size of a crop relative to this set was measured on the 15 square clips
and images that LivePortrait ships as drivers: their side is 2.05 times the set's extent (median; the middle half 1.9 to
2.2; the nominal factor for 203 points is 2.2), and their centre is 0.12 sides above the set's (nominal 0.1). A source
is cropped larger and higher by the same proportion. The models behind the two original point sets may not be used
commercially and were not run, so how the sets differ from face to face was not measured.

The openings were compared with those that the 203 points gave for five clips that LivePortrait shipped first as video
and later as templates (633 frames). Eyes: the correlation is 0.87 to 0.99 in each clip, but the studio's values have a
smaller range (0.07 where LivePortrait reads 0.02, 0.49 where it reads 0.55), so EYES stretches them. With a stretch
fitted on the other four clips, a clip's error is 0.022 to 0.035 (root mean square) instead of 0.026 to 0.062, and
larger than before in one of the five. Lips: equal within 0.01 up to an opening of 0.3, so they are used unchanged;
beyond that the studio's values grow faster (0.80 where LivePortrait reads 0.61, in a single clip).
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
    """Return the crop of a portrait, rotated so that the face is upright."""
    return _square(face, *SOURCE)


def driver_square(face: Face) -> Square:
    """Return the crop of a driver, upright in the image, because the rotation of the head is part of the motion."""
    found = _square(face, *DRIVER)
    return Square(found.centre, found.side, 0.0)


def openings(face: Face) -> Ratios:
    """Return the openings of eyes and lips relative to their widths; the eye on the image's left comes first."""
    return ratios(face.opening_ratios)


def ratios(measured: NDArray[np.float32]) -> Ratios:
    """Convert (3,) `Face.opening_ratios` to the ratios that the networks expect."""
    gain, offset = EYES
    return Ratios(np.maximum(measured[:2] * np.float32(gain) + np.float32(offset), np.float32(0.0)), measured[2])


def in_reference(scale: FloatArray, t: FloatArray, box: Square, reference: Square) -> tuple[FloatArray, FloatArray]:
    """Convert scale and shift measured in one upright crop to the values that another crop would give.

    A keypoint x in -1..1 is at centre + x * side / 2. With this conversion, a crop that follows the driver removes
    nothing from its motion.
    """
    ratio = np.float32(box.side / reference.side)
    moved = t * ratio
    moved[:2] += (box.centre - reference.centre) * np.float32(2 / reference.side)
    return np.asarray(scale * ratio, np.float32), np.asarray(moved, np.float32)


def _square(face: Face, scale: float, shift: float) -> Square:
    points = face.points[:, :2]
    eyes, mouth = (points[list(each)].mean(axis=0) for each in ((RIGHT_IRIS, LEFT_IRIS), MOUTH_CORNERS))
    return square(points[BROWS_TO_CHIN], eyes, mouth, scale, shift)
