"""Faces and their points in images: detected, or followed from one image to the next."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import Points
from shared.face.networks.attention import INPUT_PX, AttentionMesh
from shared.face.networks.detector import SHORT_RANGE, FaceDetector
from shared.face.networks.region import Region, region_around

MIN_PRESENCE = 0.5  # below it there is no face, however surely one was detected
LEVEL = (33, 263)  # outer corners of the eyes, which a close-up is turned by


class FaceLandmarker:
    """Finds the points of the faces in an image. Not thread-safe.

    follows: look for the face where it was in the image before, and over the whole image only when it was not there;
    for a single face.
    """

    def __init__(self, follows: bool, max_faces: int = 1) -> None:
        self._detector, self._attention = FaceDetector(SHORT_RANGE), AttentionMesh()
        self._follows, self._max_faces = follows, 1 if follows else max_faces
        self._last: Region | None = None

    def find(self, rgb: NDArray[np.uint8]) -> list[Points]:
        """(478, 3) float32 of each face in a (H, W, 3) uint8 RGB image, in its pixels, the surest first."""
        if self._last is not None:
            regions = [self._last]
        else:
            regions = [each.region for each in self._detector.find(rgb)[: self._max_faces]]
        found = [points for region in regions if (points := self._points(rgb, region)) is not None]
        if self._follows:
            self._last = _region_of(found[0]) if found else None
        return found

    def forget(self) -> None:
        """Look for faces over the whole of the next image."""
        self._last = None

    def _points(self, rgb: NDArray[np.uint8], region: Region) -> Points | None:
        points, presence = self._attention.find(region.cut(rgb, INPUT_PX, cv2.BORDER_REPLICATE))
        return region.to_image(points) if presence >= MIN_PRESENCE else None


def _region_of(points: Points) -> Region:
    xy = np.ascontiguousarray(points[:, :2].T)
    return region_around(xy.min(axis=1), xy.max(axis=1), xy[:, LEVEL[0]], xy[:, LEVEL[1]])
