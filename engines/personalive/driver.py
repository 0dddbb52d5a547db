"""What the networks see of the driver: a square in which its neutral face lies as the portrait's does."""

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.api import Driving
from shared.avatar.model import ROI_SIZE_PX
from shared.face.landmarks import RIGID, Face
from shared.face.similarity import SimilarityMatrix
from shared.media.array_types import ImageArray


class DriverView:
    """Cuts the square out of each driving frame.

    It stands still while the neutral is the same, so that the driver's movement is seen in it; nothing is squashed, and
    beyond the frame its border is repeated.
    """

    def __init__(self, portrait: Face, size: int) -> None:
        self._portrait, self._size = portrait, size
        self.neutral: NDArray[np.float32] | None = None
        self.held: ImageArray | None = None  # the last one with a face

    def update_view(self, driving: Driving) -> bool:
        """Take a driving frame into `held`; whether its neutral is another than before.

        Without a face the last one is held.
        """
        if driving.face is None or driving.neutral is None or driving.frame is None:
            return False
        retaken = self.neutral is None or not np.array_equal(self.neutral, driving.neutral.points)
        self.neutral = driving.neutral.points.copy()
        matrix = framing(driving.neutral, self._portrait, self._size)
        side = (self._size, self._size)
        cut = cv2.warpAffine(driving.frame, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self.held = np.asarray(cut, np.uint8)
        return retaken


def framing(face: Face, portrait: Face, size: int) -> SimilarityMatrix:
    """From the driver's frame to the square: scale and shift that put its face where the portrait's is in the ROI."""
    scale = portrait.eye_distance / max(face.eye_distance, 1.0)
    middle, target = (each.points[RIGID, :2].astype(np.float64).mean(0) for each in (face, portrait))
    whole = np.column_stack([np.eye(2) * scale, target - middle * scale])
    return np.asarray(whole * (size / ROI_SIZE_PX), np.float64)
