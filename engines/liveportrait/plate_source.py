"""The plate's own face as the source, image by image: a body video is moved by another face where it is, and keeps
its own head, light and hair."""

import cv2
import numpy as np

from engines.liveportrait.motion.crop import SIDE, CropMatrix
from engines.liveportrait.motion.face_crop import ratios
from engines.liveportrait.motion.retarget_rules import Ratios
from shared.avatar.model import ROI_SIZE_PX
from shared.avatar.plate import Plate
from shared.face import similarity
from shared.media.array_types import ImageArray
from shared.media.colour import i420_to_rgb, planes


def plate_views(plate: Plate, index: int, to_crop: CropMatrix) -> tuple[ImageArray, ImageArray]:
    """(512, 512, 3) uint8 RGB each: the square of a plate frame where the ROI is placed, and the source crop around it.

    to_crop: (2, 3) from ROI to crop pixels. What the compositor will do to the ROI's colour, to match it to the plate's
    light, is undone: this is the plate's.
    """
    frame = plate.frame(index).copy()
    for plane, gain, offset in zip(planes(frame), plate.gains[index], plate.offsets[index], strict=True):
        gain = max(float(gain), 1e-3)
        cv2.addWeighted(plane, 1 / gain, plane, 0.0, 128 - (128 + float(offset)) / gain, dst=plane)
    rgb = i420_to_rgb(frame)
    to_roi = similarity.invert(plate.placements[index])
    roi = cv2.warpAffine(rgb, to_roi, (ROI_SIZE_PX, ROI_SIZE_PX), borderMode=cv2.BORDER_REPLICATE)
    cut = cv2.warpAffine(rgb, similarity.compose(to_crop.astype(np.float64), to_roi), (SIDE, SIDE))
    return np.asarray(roi, np.uint8), np.asarray(cut, np.uint8)


def plate_openings(plate: Plate, index: int) -> Ratios | None:
    """The openings of the face in a plate frame; None where the avatar was added before they were measured."""
    return None if plate.openings is None else ratios(plate.openings[index])
