"""A tracked face: 478 points, and the measurements that all modules derive from them.

Point numbers are those of the MediaPipe face topology (468 surface points and 5 for each
iris). "left" and "right" are the subject's own.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]

POINTS = 478
SURFACE = 468  # number of points on the skin, which come first; the iris points follow
MAX_COORDINATE_PX = 1e5  # pixels; beyond any image
LEFT_IRIS, RIGHT_IRIS = 473, 468  # iris centres; the four points after each lie on its rim
LEFT_IRIS_RING = np.arange(474, 478)
RIGHT_IRIS_RING = np.arange(469, 473)
LIP_TOP, LIP_BOTTOM = 13, 14  # inner lip, middle
LIP_CORNERS = (78, 308)  # inner lip corners, right then left
MOUTH_CORNERS = (61, 291)  # outer, right then left
# Opposite points of the upper and lower lid, three pairs per eye, and the corners of each eye.
RIGHT_LIDS = ((159, 145), (158, 153), (160, 144))
LEFT_LIDS = ((386, 374), (385, 380), (387, 373))
RIGHT_EYE_CORNERS = (33, 133)
LEFT_EYE_CORNERS = (263, 362)
OVAL = np.array(
    [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377]
    + [152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
)
# Forehead, temples, nose bridge and outer eye corners, which hardly move when a face speaks or
# smiles. Without the chin, because a movement of the jaw would be measured as pitch.
RIGID = np.array(
    [10, 338, 297, 332, 284, 251, 109, 67, 103, 54, 21, 9, 8, 168, 6, 197, 151, 108, 337]
    + [127, 356, 33, 263, 133, 362, 195]
)


class Pose(NamedTuple):
    """Head rotation in degrees.

    yaw > 0: turned towards the image's right. pitch > 0: looking down. roll > 0: clockwise as
    the image shows it.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one image.

    points: (478, 3) float32, x right and y down in pixels of the image it was found in, z away
        from the viewer in the same unit, relative to the head's centre.
    """

    points: Points

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of the surface points in pixels."""
        low = self.points[:SURFACE, :2].min(axis=0)
        high = self.points[:SURFACE, :2].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def middle(self) -> NDArray[np.float32]:
        """(2,) mean of the surface points in pixels."""
        return np.asarray(self.points[:SURFACE, :2].mean(axis=0))

    @property
    def size(self) -> float:
        """The longer side of the box in pixels."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    @property
    def eye_distance(self) -> float:
        """Distance between the outer eye corners in 3D, in pixels: a scale that does not change when the head turns."""
        return float(np.linalg.norm(self.points[263] - self.points[33]))

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(3, 3) rotation from head space to the image, computed from points that the jaw does not move.

        Head space has x to the image's right, y down and z away from the viewer.
        """
        across = _centre(self.points, (454, 356, 263, 251)) - _centre(self.points, (234, 127, 33, 21))
        down = _centre(self.points, (6, 197, 195)) - _centre(self.points, (10, 151, 109, 338))
        x = across / np.linalg.norm(across)
        y = down - x * float(down @ x)
        y /= np.linalg.norm(y)
        return np.stack([x, y, np.cross(x, y)], axis=1)

    @property
    def pose(self) -> Pose:
        """Head rotation as yaw, pitch and roll."""
        return pose_of(self.rotation)

    @property
    def mouth_opening(self) -> float:
        """Gap between the inner lips over the eye distance; 0 is closed."""
        return float(np.linalg.norm(self.points[LIP_TOP] - self.points[LIP_BOTTOM])) / self.eye_distance

    @property
    def signals(self) -> NDArray[np.float64]:
        """(5,) values for the comparison of faces: mouth opening, mean of the eyes' openings, yaw, pitch, roll."""
        return np.array([self.mouth_opening, sum(self.eye_openings) / 2, *self.pose])

    @property
    def eye_openings(self) -> tuple[float, float]:
        """(right, left) mean gap between the lids over the eye distance; about 0.1 is open."""
        right, left = (
            float(np.mean([np.linalg.norm(self.points[a] - self.points[b]) for a, b in lids]))
            for lids in (RIGHT_LIDS, LEFT_LIDS)
        )
        return right / self.eye_distance, left / self.eye_distance

    @property
    def opening_ratios(self) -> Points:
        """(3,) float32 openings of the right eye, the left eye and the mouth, measured in the image plane.

        Each is the gap in the middle divided by the width of that eye or mouth; about 0.3 is an open eye, 0 a closed
        one.
        """
        points = self.points[:, :2].astype(np.float64)
        gaps = (
            (*RIGHT_LIDS[0], *RIGHT_EYE_CORNERS),
            (*LEFT_LIDS[0], *LEFT_EYE_CORNERS),
            (LIP_TOP, LIP_BOTTOM, *MOUTH_CORNERS),
        )
        lengths = [
            (np.linalg.norm(points[a] - points[b]), np.linalg.norm(points[c] - points[d])) for a, b, c, d in gaps
        ]
        return np.array([gap / (width + 1e-6) for gap, width in lengths], np.float32)

    def pack(self) -> bytes:
        """The points as raw little-endian float32, for a message."""
        return self.points.astype("<f4").tobytes()

    @classmethod
    def unpack(cls, raw: object) -> "Face":
        """Return the face in bytes of `pack`. Raises ValueError for other bytes and for points that are not finite."""
        if not isinstance(raw, bytes) or len(raw) != POINTS * 3 * 4:
            raise ValueError("a face is 478 x 3 float32")
        points = np.frombuffer(raw, "<f4").reshape(POINTS, 3).astype(np.float32)
        if not np.isfinite(points).all() or np.abs(points).max() > MAX_COORDINATE_PX or np.ptp(points[:, 0]) < 1:
            raise ValueError("not the points of a face")
        return cls(points)

    def moved(self, matrix: NDArray[np.float64]) -> "Face":
        """Return the face transformed by a 2x3 similarity of the image; z is scaled accordingly."""
        scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        points = np.empty_like(self.points)
        points[:, :2] = self.points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        points[:, 2] = self.points[:, 2] * scale
        return Face(points)


def pose_of(rotation: NDArray[np.float64]) -> Pose:
    """Yaw, pitch and roll in degrees of a (3, 3) rotation, for R = Rz(roll) Ry(-yaw) Rx(pitch)."""
    yaw = np.degrees(np.arcsin(np.clip(rotation[2, 0], -1.0, 1.0)))
    roll = np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0]))
    pitch = np.degrees(np.arctan2(rotation[2, 1], rotation[2, 2]))
    return Pose(float(yaw), float(pitch), float(roll))


def _centre(points: Points, indices: tuple[int, ...]) -> NDArray[np.float64]:
    return np.asarray(points[list(indices)].mean(axis=0, dtype=np.float64))
