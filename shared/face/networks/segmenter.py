"""Segments people in an image by the selfie segmentation network (MobileNetV3)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face.networks.network import FaceNetwork

INPUT_PX = 256


class PersonSegmenter:
    """Separates people from the background. Not thread-safe."""

    def __init__(self) -> None:
        self._network = FaceNetwork("person")

    def find(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability that each pixel of a (H, W, 3) uint8 RGB image shows a person: (H, W) float32, 0 to 1.

        The result is soft and coarse.
        """
        height, width = rgb.shape[:2]
        to_image = np.array([[width / INPUT_PX, 0.0, 0.0], [0.0, height / INPUT_PX, 0.0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        small = cv2.warpAffine(rgb, to_image, (INPUT_PX, INPUT_PX), flags=flags, borderMode=cv2.BORDER_CONSTANT)
        found = self._network(np.multiply(small, np.float32(1 / 255), dtype=np.float32)[None])[0]
        return np.asarray(cv2.resize(found[0, :, :, 0], (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
