"""The driver's image as the networks receive it: a square whose neutral face is positioned like the portrait's."""

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.api import Driving
from shared.avatar.model import ROI_SIZE_PX
from shared.face.landmarks import RIGID, Face
from shared.face.similarity import SimilarityMatrix
from shared.media.array_types import ImageArray


class DriverView:
    """Cuts the square from each driving frame.

    The square does not move while the neutral is the same, so the driver's movement is visible in it. The aspect ratio
    is kept, and beyond the frame its border is repeated.
    """

    def __init__(self, portrait: Face, size: int) -> None:
        self._portrait, self._size = portrait, size
        self.neutral: NDArray[np.float32] | None = None
        self.held: ImageArray | None = None  # crop of the last frame with a face

    def update_view(self, driving: Driving) -> bool:
        """Store the crop of a driving frame in `held`; return whether its neutral differs from the previous one.

        Without a face the previous crop is kept.
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
    """Return the matrix from the driver's frame to the square.

    It scales and shifts so that the face is where the portrait's is in the ROI.
    """
    scale = portrait.eye_distance / max(face.eye_distance, 1.0)
    middle, target = (each.points[RIGID, :2].astype(np.float64).mean(0) for each in (face, portrait))
    whole = np.column_stack([np.eye(2) * scale, target - middle * scale])
    return np.asarray(whole * (size / ROI_SIZE_PX), np.float64)
