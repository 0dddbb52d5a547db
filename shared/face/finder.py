"""Finds faces that are too small for the face tracker: detects them coarsely, then tracks them in a close-up."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face import similarity
from shared.face.landmarks import RIGID, Face
from shared.face.networks.detector import FULL_RANGE, FaceDetector
from shared.face.tracker import FaceTracker

FloatBounds = tuple[float, float, float, float]

CLOSE_UP_PX = 384  # side of the close-up in which landmarks are found
CLOSE_UP_MARGIN = 2.0  # side of the first close-up as a multiple of the face's size
ANCHORS = RIGID  # points around which the second close-up is cut: they do not move while a face speaks
EYES_TO_SIDE = 4.4  # side of the second close-up over the eye distance; of 3.0, 3.6 and 4.4 the steadiest, by half
MIN_SCORE = 0.6  # lowest score of a small face; below it there are false detections
SEARCH_PERIOD_FRAMES = (
    5  # after a face has been missing for this many frames, search a whole frame, which takes 100 ms, only this often
)
TILES = (1, 2, 3, 5)  # number of tiles on the shorter side of a frame, for each level of a search
MAX_JUMP = 0.5  # of the face's size between frames: a longer way means another face or a false detection


@dataclass(slots=True)
class FaceFinder:
    """Follows the largest face through a video, however small it is. Not thread-safe.

    Landmarks are always found in an upright close-up of the same size around the face, so that their
    precision does not depend on where the face is. About 20 ms a frame on one core.
    """

    _close_up: FaceTracker = field(init=False, repr=False)
    _detector: FaceDetector = field(init=False, repr=False)
    _last: Face | None = field(init=False, default=None)
    _missed: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._close_up = FaceTracker(still=True, max_faces=1)
        self._detector = FaceDetector(FULL_RANGE, MIN_SCORE)

    def track(self, rgb: NDArray[np.uint8]) -> Face | None:
        """Return the followed face in the next (H, W, 3) uint8 RGB frame, None if there is none."""
        if self._last is not None:
            face = self.face_near(rgb, self._last.box)
            if face is not None and _is_same(face, self._last):
                self._last, self._missed = face, 0
                return face
        self._missed += 1
        if self._missed > SEARCH_PERIOD_FRAMES and self._missed % SEARCH_PERIOD_FRAMES:
            self._last = None
            return None
        boxes = self.search(rgb)
        self._last = self.face_near(rgb, boxes[0]) if boxes else None
        if self._last is not None:
            self._missed = 0
        return self._last

    def face_near(self, rgb: NDArray[np.uint8], box: FloatBounds) -> Face | None:
        """Return the face in or near a box in pixels, with points in pixels of the whole frame; None if there is none.

        Landmarks depend slightly on how the close-up is cut. They are therefore found twice: the second close-up is
        cut around the first result, upright and at a fixed size relative to the face, so that all frames of a face are
        measured alike.
        """
        left, top, right, bottom = box
        side = max(right - left, bottom - top, 8.0) * CLOSE_UP_MARGIN
        coarse = self._landmarks(rgb, ((left + right) / 2, (top + bottom) / 2), side, 0.0)
        if coarse is None:
            return None
        x, y = coarse.points[ANCHORS, :2].mean(axis=0)
        side = coarse.eye_distance * EYES_TO_SIDE
        return self._landmarks(rgb, (float(x), float(y)), side, coarse.pose.roll) or coarse

    def measure(self, rgb: NDArray[np.uint8], face: Face) -> Face:
        """Return a more precise measurement of a found face: the mean over slightly different close-ups.

        Takes 0.1 s.
        """
        x, y = face.points[ANCHORS, :2].mean(axis=0)
        side = face.eye_distance * EYES_TO_SIDE
        cuts = [(dx, zoom, roll) for dx in (-0.02, 0.02) for zoom in (0.94, 1.06) for roll in (-4.0, 0.0, 4.0)]
        seen = [
            self._landmarks(
                rgb, (float(x) + dx * side, float(y) + dx * roll * side / 8), side * zoom, face.pose.roll + roll
            )
            for dx, zoom, roll in cuts
        ]
        found = [each.points for each in (face, *seen) if each is not None and _is_same(each, face)]
        return Face(np.mean(found, axis=0).astype(np.float32))

    def _landmarks(self, rgb: NDArray[np.uint8], centre: tuple[float, float], side: float, roll: float) -> Face | None:
        """The face in a square of the image with this centre and side, turned by `roll` degrees to make it upright."""
        scale = CLOSE_UP_PX / side
        cosine, sine = scale * np.cos(np.radians(roll)), scale * np.sin(np.radians(roll))
        linear = np.array([[cosine, sine], [-sine, cosine]])
        to_crop = np.column_stack([linear, (CLOSE_UP_PX - 1) / 2 - linear @ np.array(centre)])
        source, matrix, how = rgb, to_crop, cv2.INTER_CUBIC
        if scale < 0.6:  # reduce by averaging first: plain sampling would skip pixels
            height, width = rgb.shape[:2]
            size = max(1, round(width * scale)), max(1, round(height * scale))
            source = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
            shrink = similarity.resize_matrix(size[0] / width, size[1] / height)
            matrix, how = similarity.compose(to_crop, similarity.invert(shrink)), cv2.INTER_LINEAR
        crop = cv2.warpAffine(source, matrix, (CLOSE_UP_PX, CLOSE_UP_PX), flags=how)
        faces = self._close_up.faces(np.asarray(crop, np.uint8))
        return faces[0].moved(similarity.invert(to_crop)) if faces else None

    def search(self, rgb: NDArray[np.uint8], levels: int | None = None) -> list[FloatBounds]:
        """Return coarse boxes of faces anywhere in the frame, in pixels, largest first.

        The search stops at the first level of tiles with a face. levels: search exactly this many levels instead; a
        face may then be returned more than once.
        """
        boxes: list[FloatBounds] = []
        for tiles in TILES[:levels]:
            boxes += [box for tile in _tiles(rgb, tiles) for box in self._detect(rgb, tile)]
            if boxes and levels is None:
                break
        return sorted(boxes, key=lambda box: -max(box[2] - box[0], box[3] - box[1]))

    def _detect(self, rgb: NDArray[np.uint8], tile: tuple[int, int, int]) -> list[FloatBounds]:
        x, y, side = tile
        boxes = [each.box for each in self._detector.find(rgb[y : y + side, x : x + side])]
        return [(x + left, y + top, x + right, y + bottom) for left, top, right, bottom in boxes]


def _is_same(face: Face, last: Face) -> bool:
    ratio = face.size / max(last.size, 1.0)
    moved = float(np.linalg.norm(face.middle - last.middle))
    return 0.6 < ratio < 1.6 and moved < MAX_JUMP * last.size


def _tiles(rgb: NDArray[np.uint8], across: int) -> Iterator[tuple[int, int, int]]:
    """Yield (x, y, side) of square tiles that overlap by half, `across` on the shorter side; 1 is the whole frame."""
    height, width = rgb.shape[:2]
    if across == 1:
        yield 0, 0, max(height, width)
        return
    side = max(64, round(min(height, width) * 2 / (across + 1)))
    for y in _steps(height, side):
        for x in _steps(width, side):
            yield x, y, side


def _steps(length: int, side: int) -> list[int]:
    count = max(1, int(np.ceil((length - side) / (side / 2))) + 1)
    return sorted({int(at) for at in np.linspace(0, max(0, length - side), count)})
