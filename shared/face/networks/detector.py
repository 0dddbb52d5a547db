"""Detects faces coarsely by BlazeFace (Bazarevsky et al., 2019), in variants for near and for small faces.

For each anchor, a point of a fixed grid, the network gives the probability of a face and the offsets from the anchor to
the face's box and six of its points. The results of several anchors for the same face are averaged.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face.networks.files import NetworkName
from shared.face.networks.network import FaceNetwork
from shared.face.networks.region import Region, region_around

OVERLAP = 0.3  # intersection over union above which two boxes belong to the same face
MOST_LOGIT = 80.0  # limit at which exp does not overflow a float


class Variant(NamedTuple):
    """A variant of the face detector.

    network: its name. size: side of its input in pixels. grids: for each grid, cells per side and anchors per cell.
    """

    network: NetworkName
    size: int
    grids: tuple[tuple[int, int], ...]


SHORT_RANGE = Variant("short_range", 128, ((16, 2), (8, 6)))  # faces that fill a fifth of the image or more
FULL_RANGE = Variant("full_range", 192, ((48, 1),))  # smaller ones too


@dataclass(frozen=True, slots=True)
class Detection:
    """A detected face.

    score: 0 to 1. points: (8, 2) float32 in pixels of the image: upper left and lower right corner of the box, then the
    subject's right eye, left eye, nose, mouth, right ear, left ear.
    """

    score: float
    points: NDArray[np.float32]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in pixels; may extend beyond the image."""
        (left, top), (right, bottom) = self.points[:2].tolist()
        return left, top, right, bottom

    @property
    def region(self) -> Region:
        """The upright close-up in which to look for the face's points."""
        return region_around(*self.points[:4])


class FaceDetector:
    """Finds every face in single images. Not thread-safe."""

    def __init__(self, variant: Variant, min_score: float = 0.5) -> None:
        self._network = FaceNetwork(variant.network)
        self._size, self._min_score = variant.size, min_score
        self._anchors = np.concatenate([_grid(cells, each) for cells, each in variant.grids])

    def find(self, rgb: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in a (H, W, 3) uint8 RGB image, highest score first."""
        height, width = rgb.shape[:2]
        side = max(height, width)
        cut = Region(width / 2, height / 2, side).cut(rgb, self._size, cv2.BORDER_CONSTANT)
        given = np.multiply(cut, np.float32(2 / 255), dtype=np.float32)
        given -= 1
        offsets, logits = self._network(given[None])
        scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -MOST_LOGIT, MOST_LOGIT)))
        seen = np.flatnonzero(scores >= self._min_score)
        corner = np.array([(width - side) / 2, (height - side) / 2], np.float32)
        points = self._points(offsets[0, seen], self._anchors[seen]) * np.float32(side) + corner
        return _merged(np.asarray(scores[seen], np.float32), np.asarray(points, np.float32))

    def _points(self, offsets: NDArray[np.float32], anchors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert (N, 16) centre, size and points in input pixels to (N, 8, 2) corners and points, 0 to 1 across it."""
        points = offsets.reshape(-1, 8, 2) / np.float32(self._size)
        centre, half = points[:, 0] + anchors, points[:, 1] / 2
        points[:, 0], points[:, 1] = centre - half, centre + half
        points[:, 2:] += anchors[:, None]
        return points


def _grid(cells: int, each: int) -> NDArray[np.float32]:
    """The (cells * cells * each, 2) centres of a grid's cells, row by row, each repeated `each` times."""
    at = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    x, y = np.meshgrid(at, at)
    return np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), each, axis=0)


def _merged(scores: NDArray[np.float32], points: NDArray[np.float32]) -> list[Detection]:
    """One detection per face: the mean, weighted by score, of all detections that overlap the best one."""
    found = []
    left = np.argsort(-scores, kind="stable")
    while len(left):
        same = _overlap(points[left[0], :2], points[left, :2]) > OVERLAP
        same[0] = True
        group, left = left[same], left[~same]
        weights = scores[group] / scores[group].sum()
        found.append(Detection(float(scores[group[0]]), np.tensordot(weights, points[group], 1)))
    return found


def _overlap(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of a (2, 2) box with each of (N, 2, 2)."""
    low, high = np.maximum(box[0], boxes[:, 0]), np.minimum(box[1], boxes[:, 1])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    union = np.prod(box[1] - box[0]) + np.prod(boxes[:, 1] - boxes[:, 0], axis=1) - shared
    return np.asarray(shared / np.maximum(union, np.float32(1e-9)), np.float32)
