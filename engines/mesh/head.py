"""The portrait as one surface in 3D: its face mesh, surrounded by a sheet for hair, ears and neck.

The sheet is joined to the face along the face's oval and pinned near the image's edge and at the shoulders. The whole
surface is a disc with a fixed rim. However the head turns, every pixel is covered by at least one triangle that faces
the viewer, and a fold leaves no hole.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.mesh.lids import LidRig
from engines.mesh.lips import GrinLimit, LipRig
from engines.mesh.motion import MeshMotion
from engines.mesh.topology import opening_triangles, oriented
from engines.mesh.triangulation import delaunay
from shared.avatar.model import ROI_SIZE_PX
from shared.easing import smoothstep
from shared.face.landmarks import OVAL, SURFACE, Face
from shared.face.rest_pose import head_centre, rotation_matrix
from shared.face.skin_triangles import SKIN_TRIANGLES

RIM_PX = 22.0  # pixels along the edge of the ROI that never move (4 % of 512, rounded up)
SPACING_PX = 22  # pixels between the points of the sheet
# The sheet recedes from the oval to the depth of the head's centre within about this many eye distances: the outline of
# hair and skull against the background is about as deep as the ears. Above the forehead hair stands forward, so there
# the sheet recedes more slowly.
FALL, FALL_TOP = 0.30, 0.75
BACK = 0.05  # eye distances behind the centre
# The tracker flattens faces: drawn with the tracked depth, a turned portrait would be measured as turned too little.
DEPTH = 1.18
# With that depth, a nod is measured as larger than the driver's.
PITCH = 0.92
# The sides of a face, deeper than this (eye distances, 0 at the head's centre), are drawn flatter by this factor: the
# portrait shows them as a narrow strip, which would otherwise be stretched into streaks.
SIDE_DEPTH, SIDE_SLOPE = -0.40, 0.6
# How far the skin's own movement (jaw, cheeks) reaches into the sheet, in eye distances.
REACH = 0.22
# Share of the head's translation that is followed, and its soft limits (eye distances, and logarithm of size).
FOLLOW, SHIFT_LIMIT, SIZE_LIMIT = 0.8, 0.22, 0.05
# On a foreign body only the face is shown. The head around it keeps its own pose, so a face that turned or slid much
# further than this within it would look detached. Degrees of yaw, pitch and roll; shift and size as above.
BODY_TURN = (8.0, 8.0, 6.0)
BODY_SHIFT_LIMIT, BODY_SIZE_LIMIT = 0.05, 0.02

# Largest turn away from the portrait in degrees of yaw, pitch and roll. A turned portrait turns back towards the viewer
# less, because its far cheek is unknown: at YAW_TURNED degrees of yaw only by YAW_BACK.
YAW_END, PITCH_END, ROLL_END = 32.0, 24.0, 28.0
YAW_BACK, YAW_TURNED = 11.0, 35.0


@dataclass(frozen=True, slots=True)
class MovedHead:
    """A head after a motion.

    vertices: (N, 3) float32 in ROI pixels; the first 468 are the face's points.
    rigid: (468, 2) float32, where the face's points would be by head movement alone.
    """

    vertices: NDArray[np.float32]
    rigid: NDArray[np.float32]


class HeadMesh:
    """The portrait's surface and how it moves.

    source: (N, 2) float32 vertices in the portrait. triangles: (M, 3) int32, see `rasterizer.rasterise`.
    """

    def __init__(self, face: Face, rest: tuple[float, float], *, own_plate: bool) -> None:
        self.unit = face.eye_distance
        self._pose = face.pose
        self._rest = rest
        self._body_turn = None if own_plate else BODY_TURN
        self._shift_limit = SHIFT_LIMIT if own_plate else BODY_SHIFT_LIMIT
        self._size_limit = SIZE_LIMIT if own_plate else BODY_SIZE_LIMIT
        self._home = face.rotation
        self._centre = head_centre(face)
        self.lids = LidRig(face)
        self.lips = LipRig(face)
        self._grin = GrinLimit(face)
        skin = face.points[:SURFACE].astype(np.float64)
        sheet, self._weight = _sheet(face)
        points = np.concatenate([skin, sheet])
        self.source = np.ascontiguousarray(points[:, :2], np.float32)
        self._local = (_sculpted(points, self._centre, self._home, self.unit) - self._centre) @ self._home
        self._expressive = expressive(face)
        self._pull = _pull(skin, sheet, self.unit * REACH)
        self._still = points[len(skin) :]
        self.triangles = _triangles(self.source)

    def _turn(self, motion: MeshMotion) -> NDArray[np.float64]:
        yaw, pitch, roll = (float(v) for v in motion.turn)
        if self._body_turn:
            yaw, pitch, roll = (
                _limited(v, -end, end) for v, end in zip((yaw, pitch, roll), self._body_turn, strict=True)
            )
        return rotation_matrix(
            self._pose.yaw + _limited(self._rest[0] + yaw, *_yaw_range(self._pose.yaw)),
            self._pose.pitch + _limited(self._rest[1] + PITCH * pitch, -PITCH_END, PITCH_END),
            self._pose.roll + _limited(roll, -ROLL_END, ROLL_END),
        )

    def move(self, motion: MeshMotion) -> MovedHead:
        """Return the surface after a motion."""
        skin = motion.skin * (self._expressive * np.float32(self.unit))
        skin = self._grin.hold(self.lids.hold(skin), self.unit)
        skin = skin + self.lips.part(skin, motion) * self.unit
        skin = skin + self.lids.close(motion.lids)
        turned = self._turn(motion)
        size = np.exp(_soft(FOLLOW * float(motion.shift[2]), self._size_limit))
        shift = np.array([_soft(FOLLOW * float(v), self._shift_limit) * self.unit for v in motion.shift[:2]] + [0.0])
        rigid = (self._local @ turned.T) * size + self._centre + shift
        vertices = rigid.copy()
        own = skin @ turned.T * size
        vertices[:SURFACE] += own
        moved = rigid[SURFACE:] + self._pull @ own[OVAL]
        vertices[SURFACE:] = self._still + self._weight[:, None] * (moved - self._still)
        return MovedHead(vertices.astype(np.float32), rigid[:SURFACE, :2].astype(np.float32))


def _yaw_range(yaw: float) -> tuple[float, float]:
    """Return how far a portrait of this yaw may be turned, as (lowest, highest) change of yaw in degrees."""
    turned = min(1.0, abs(yaw) / YAW_TURNED)
    back = YAW_END + (YAW_BACK - YAW_END) * turned * turned
    away = YAW_END * (1.0 - 0.5 * turned)
    return (-back, away) if yaw > 0.0 else (-away, back)


def _limited(value: float, low: float, high: float) -> float:
    """Limit a value softly: unchanged up to 70 % of (low, high), and never beyond that range."""
    limit = high if value > 0.0 else -low
    over = abs(value) - 0.7 * limit
    if over <= 0.0:
        return value
    return float(np.sign(value)) * (0.7 * limit + 0.3 * limit * float(np.tanh(over / (0.3 * limit))))


def _soft(value: float, limit: float) -> float:
    return float(limit * np.tanh(value / limit))


def _sheet(face: Face) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (K, 3) points outside the face's oval, and (K,) how much each moves with the head, 0 to 1."""
    oval = face.points[OVAL].astype(np.float64)
    outline = oval[:, :2].astype(np.float32)
    ticks = np.unique(np.concatenate([[0, ROI_SIZE_PX - 1], np.arange(RIM_PX, ROI_SIZE_PX - RIM_PX + 1, SPACING_PX)]))
    ticks = np.unique(np.append(ticks, ROI_SIZE_PX - 1 - RIM_PX))
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    hull = cv2.convexHull(face.points[:SURFACE, :2].copy())
    away = np.array([-cv2.pointPolygonTest(hull, (float(x), float(y)), True) for x, y in grid])
    kept = away > 0.45 * SPACING_PX
    grid, away = grid[kept], away[kept]
    near = np.linalg.norm(grid[:, None] - outline[None], axis=2)
    share = 1.0 / np.maximum(near, 1.0) ** 3
    share /= share.sum(axis=1, keepdims=True)
    unit = face.eye_distance
    up = np.clip((face.points[10, 1] - grid[:, 1]) / (0.4 * unit) + 0.5, 0.0, 1.0)
    fallen = 1.0 - np.exp(-away / ((FALL + (FALL_TOP - FALL) * up) * unit))
    edge = share @ oval[:, 2]
    depth = edge + fallen * np.maximum(head_centre(face)[2] + BACK * unit - edge, 0.0)
    return np.column_stack([grid, depth]), _follow(grid, face)


def _sculpted(
    points: NDArray[np.float64], centre: NDArray[np.float64], home: NDArray[np.float64], unit: float
) -> NDArray[np.float64]:
    """Return (N, 3) points with a deeper face and flatter sides.

    Points move along the line of sight only, so the portrait looks unchanged from its original view.
    """
    depth = (points - centre) @ home[:, 2]
    start = SIDE_DEPTH * unit
    wanted = depth * DEPTH
    wanted = np.where(wanted > start, start + SIDE_SLOPE * (wanted - start), wanted)
    result = points.copy()
    result[:, 2] += (wanted - depth) / max(float(home[2, 2]), 0.6)
    return result


def _follow(grid: NDArray[np.float64], face: Face) -> NDArray[np.float64]:
    """Return how much image points move with the head, 0 to 1.

    Fully beside and above the face, less down the neck, not at all at the shoulders and at the rim.
    """
    unit = face.eye_distance
    down = face.rotation[:2, 1] / np.linalg.norm(face.rotation[:2, 1])
    chin = face.points[152, :2].astype(np.float64)
    below = (grid - chin) @ down / unit
    sideways = np.abs((grid - chin) @ np.array([-down[1], down[0]])) / unit
    # beside the neck the falloff begins higher: long hair hangs from the head but rests on the shoulders
    start = -0.1 - 0.6 * smoothstep((sideways - 0.4) / 0.5)
    neck = 1.0 - smoothstep((below - start) / 0.7)
    edge = np.minimum(grid, ROI_SIZE_PX - 1 - grid).min(axis=1)
    return np.asarray(neck * smoothstep((edge - RIM_PX) / 60.0))


def _pull(skin: NDArray[np.float64], sheet: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """Return weights, (K, 36), by which each sheet point follows the movement of the oval's points."""
    near = np.linalg.norm(sheet[:, None, :2] - skin[OVAL][None, :, :2], axis=2)
    share = 1.0 / np.maximum(near, 1.0) ** 3
    share /= share.sum(axis=1, keepdims=True)
    return np.asarray(share * np.exp(-((near.min(axis=1) / reach) ** 2))[:, None])


def expressive(face: Face) -> NDArray[np.float32]:
    """Return how much of the driver's skin movement each point adopts, (468, 3) per axis.

    All of it around the mouth and on the chin; brows up and down only; almost nothing on nose, forehead and temples,
    where the movement that the tracker reports is head rotation that slightly bends its mesh.
    """
    unit = face.eye_distance
    local = face.points[:SURFACE].astype(np.float64) @ face.rotation / unit
    nose, middle = local[2], local[168]
    lower = smoothstep((local[:, 1] - (nose[1] - 0.34)) / 0.36)
    side = 1.0 - smoothstep((np.abs(local[:, 0] - middle[0]) - 0.5) / 0.3)
    lower = lower * (0.35 + 0.65 * side)
    tip = np.exp(-(((local[:, 0] - nose[0]) / 0.14) ** 2) - ((local[:, 1] - nose[1]) / 0.14) ** 2)
    lower = lower * (1.0 - 0.7 * tip)
    lids = local[[159, 386], 1].mean()
    brow_end = local[[105, 334], 1].mean()  # upper edge of the brows
    brows = smoothstep((lids - local[:, 1]) / 0.12) * (1.0 - smoothstep((brow_end - local[:, 1]) / 0.3)) * side
    return np.asarray(np.stack([lower, np.maximum(lower, brows), lower], axis=1), np.float32)


def _triangles(source: NDArray[np.float32]) -> NDArray[np.int32]:
    outer = np.concatenate([OVAL, np.arange(SURFACE, len(source))])
    simplices = outer[delaunay(source[outer])]
    outline = source[OVAL]
    middles = source[simplices].mean(axis=1)
    outside = [cv2.pointPolygonTest(outline, (float(x), float(y)), False) < 0 for x, y in middles]
    joined = np.concatenate([SKIN_TRIANGLES, opening_triangles(), simplices[outside].astype(np.int32)])
    return oriented(joined.astype(np.int32), source)
