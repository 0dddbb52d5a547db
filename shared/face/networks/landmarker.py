"""Finds faces and their points in single images, or follows a face from one image to the next."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import Points
from shared.face.networks.attention import INPUT_PX, AttentionMesh
from shared.face.networks.detector import SHORT_RANGE, FaceDetector
from shared.face.networks.region import Region, region_around

MIN_PRESENCE = 0.5  # probability of a face below which a detection is rejected, whatever its score
LEVEL = (33, 263)  # outer corners of the eyes, which are level in a close-up


class FaceLandmarker:
    """Finds the points of the faces in an image. Not thread-safe.

    follows: look for a single face at its position in the previous image, and in the whole image only if it was not
    found there.
    """

    def __init__(self, follows: bool, max_faces: int = 1) -> None:
        self._detector, self._attention = FaceDetector(SHORT_RANGE), AttentionMesh()
        self._follows, self._max_faces = follows, 1 if follows else max_faces
        self._last: Region | None = None

    def find(self, rgb: NDArray[np.uint8]) -> list[Points]:
        """Return the (478, 3) float32 points, in pixels, of each face in a (H, W, 3) uint8 RGB image, best first."""
        if self._last is not None:
            regions = [self._last]
        else:
            regions = [each.region for each in self._detector.find(rgb)[: self._max_faces]]
        found = [points for region in regions if (points := self._points(rgb, region)) is not None]
        if self._follows:
            self._last = _region_of(found[0]) if found else None
        return found

    def forget(self) -> None:
        """Search the whole of the next image for faces."""
        self._last = None

    def _points(self, rgb: NDArray[np.uint8], region: Region) -> Points | None:
        points, presence = self._attention.find(region.cut(rgb, INPUT_PX, cv2.BORDER_REPLICATE))
        return region.to_image(points) if presence >= MIN_PRESENCE else None


def _region_of(points: Points) -> Region:
    xy = np.ascontiguousarray(points[:, :2].T)
    return region_around(xy.min(axis=1), xy.max(axis=1), xy[:, LEVEL[0]], xy[:, LEVEL[1]])
