"""The plate's own face as the source, frame by frame.

Another face drives the body video's face in place; the body's head, light and hair remain.
"""

import numpy as np

from engines.body_source import BodySource
from engines.liveportrait.motion.crop import SIDE, CropMatrix
from engines.liveportrait.motion.face_crop import ratios
from engines.liveportrait.motion.retarget_rules import Ratios
from shared.avatar.model import ROI_SIZE_PX
from shared.avatar.plate import Plate
from shared.face import similarity
from shared.media.array_types import ImageArray


def body_views(body: BodySource, index: int, to_crop: CropMatrix) -> tuple[ImageArray, ImageArray]:
    """Return a plate frame's ROI square and the source crop around it, (512, 512, 3) uint8 RGB each.

    to_crop: (2, 3) from ROI to crop pixels.
    """
    to_roi = similarity.invert(body.plate.placements[index])
    roi = body.sample(index, to_roi, (ROI_SIZE_PX, ROI_SIZE_PX))
    return roi, body.sample(index, similarity.compose(to_crop.astype(np.float64), to_roi), (SIDE, SIDE), black=True)


def plate_openings(plate: Plate, index: int) -> Ratios | None:
    """Return the openings of the face in a plate frame; None if the avatar was added before they were measured."""
    return None if plate.openings is None else ratios(plate.openings[index])
