"""Parting and closing lips.

Applies the driver's lip gap to the portrait's own lips, which never cross and never open wider than a mouth can.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.mesh.motion import MeshMotion, lip_gaps
from engines.mesh.topology import INNER_UPPER, LOWER_LIP_ROWS, UPPER_LIP_ROWS
from shared.easing import smoothstep
from shared.face.landmarks import LIP_BOTTOM, LIP_TOP, MOUTH_CORNERS, SURFACE, Face
from shared.face.mouth_seen import GRIN_WIDTH, OPEN_MOUTH

# Share of a missing gap that the upper lip makes up; the lower lip does the rest, as in a real face. A smiling upper
# lip is raised already and contributes less.
UPPER_SHARE, UPPER_SHARE_SMILING = 0.35, 0.1
# How far the skin around a lip follows it, in eye distances: around the short upper lip, and down to the chin.
UPPER_REACH, LOWER_REACH = 0.16, 0.32
# Soft limit of how far the upper lip rises (eye distances). In a portrait that smiles with visible teeth it is raised
# already, and more would show gums.
HIGHEST, HIGHEST_SMILING, SMILING_GAP = 0.10, 0.025, 0.06
# The tracker mistakes the edge of the upper teeth for the lip and therefore reads a gap as too small.
GAIN = 1.04
# A portrait that grins or has its mouth open has little room left: distance (eye distances) between the corners and
# between the lips of the largest mouth, and the minimum room of any portrait. Other portraits move freely.
WIDEST, TALLEST, LEAST_ROOM = 0.86, 0.26, 0.03
FREE = 0.6  # share of the room in which movement is unchanged; beyond it, movement is reduced progressively
ROUND = 1.0  # width of the falloff around the mouth, relative to the mouth's own size


class LipRig:
    """Corrects the gap between the lips column by column, and moves the skin around them along.

    gaps: (9,) the portrait's own gaps at rest in eye distances.
    """

    def __init__(self, face: Face) -> None:
        local = face.points.astype(np.float64) @ face.rotation / face.eye_distance
        self.unit = face.eye_distance
        self.base = local[:SURFACE]
        self.gaps = np.maximum(lip_gaps(local), 0.0)
        open_already = face.mouth_opening > OPEN_MOUTH
        self._room = max(TALLEST - face.mouth_opening, LEAST_ROOM) if open_already else np.inf
        smiling = self.gaps.max() > SMILING_GAP
        self._highest = HIGHEST_SMILING if smiling else HIGHEST
        self._upper_share = UPPER_SHARE_SMILING if smiling else UPPER_SHARE
        self._upper = _reach(self.base, UPPER_LIP_ROWS, LOWER_LIP_ROWS, UPPER_REACH, -1.0)
        self._lower = _reach(self.base, LOWER_LIP_ROWS, UPPER_LIP_ROWS, LOWER_REACH, 1.0)

    def part(
        self, skin: NDArray[np.float32], motion: MeshMotion, filmed: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return the addition to a skin movement that parts the lips as far as the motion demands.

        Both movements are (468, 3) in pixels; the motion's opening is in eye distances.

        filmed: (468, 3) the face in head space, eye distances, if it is not the one at rest. Lips that are further
            apart there than the motion demands stay so, unless the motion seals them or sets `ajar` to 0.
        """
        extra = np.zeros((SURFACE, 3))
        raised = -skin[INNER_UPPER[1:-1], 1].astype(np.float64) / self.unit
        extra[:, 1] += self._upper @ np.maximum(raised - self._highest * np.tanh(raised / self._highest), 0.0)
        seal = float(motion.seal[0])
        opened = _within(motion.lips * GAIN, self._room)
        wanted = self.gaps * seal + opened
        base = self.base if filmed is None else filmed
        if filmed is not None:
            own = lip_gaps(filmed)
            excess, ajar = np.maximum(own - self.gaps, 0.0), float(motion.ajar[0])
            wanted = (own - excess * (1.0 - ajar)) * seal + np.maximum(opened - excess * ajar * seal, 0.0)
        missing = wanted - lip_gaps(base + skin / self.unit + extra)
        extra[:, 1] += self._lower @ (missing * (1.0 - self._upper_share)) - self._upper @ (missing * self._upper_share)
        return extra


class GrinLimit:
    """Limits the movement of the skin around a mouth that would become too wide."""

    def __init__(self, face: Face) -> None:
        local = face.points.astype(np.float64) @ face.rotation / face.eye_distance
        right, left = local[MOUTH_CORNERS[0]], local[MOUTH_CORNERS[1]]
        width = float(np.linalg.norm(left - right))
        self._room = max(WIDEST - width, LEAST_ROOM) if width > GRIN_WIDTH else np.inf
        middle = (right + left + local[LIP_TOP] + local[LIP_BOTTOM])[:2] / 4
        tall = max(float(local[17, 1] - local[0, 1]), 0.3 * width)
        away = np.hypot(*((local[:SURFACE, :2] - middle) / (width / 2, tall)).T)
        self._share = smoothstep((1.0 + ROUND - away) / ROUND)[:, None]

    def hold(self, skin: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
        """Return a (468, 3) skin movement in pixels, reduced around the mouth if it would make the mouth too wide."""
        right, left = MOUTH_CORNERS
        wider = float(skin[left, 0] - skin[right, 0]) / unit
        if wider <= FREE * self._room:
            return skin
        held = float(_within(np.array(wider), self._room))
        return np.asarray(skin * (1.0 - self._share * (1.0 - held / wider)), np.float32)


def _within(value: NDArray[np.floating[Any]], room: float) -> NDArray[np.float64]:
    """Limit values from 0 up softly: unchanged within the free part of the room, and never beyond the room."""
    free = FREE * room
    if not np.isfinite(room):
        return np.asarray(value, np.float64)
    over = np.maximum(value - free, 0.0)
    return np.asarray(np.minimum(value, free) + (room - free) * np.tanh(over / (room - free)), np.float64)


def _reach(
    base: NDArray[np.float64],
    rows: NDArray[np.int64],
    other: NDArray[np.int64],
    reach: float,
    side: float,
) -> NDArray[np.float64]:
    """Return how much of each inner-lip column's movement every skin point adopts, (468, 9).

    All rows of a lip move together. Beyond the outer row the share fades with distance, only on the lip's own side of
    the mouth.
    """
    weights = np.zeros((SURFACE, 9))
    outer = base[rows[-1, 1:-1]]
    line = float(base[rows[0]][:, 1].mean())
    near = np.linalg.norm(base[:, None, :2] - outer[None, :, :2], axis=2)
    column = np.exp(-((base[:, None, 0] - outer[None, :, 0]) ** 2) / (2 * 0.05**2)) + 1e-9
    column /= column.sum(axis=1, keepdims=True)
    fade = np.exp(-((near.min(axis=1) / reach) ** 2))
    fade[(base[:, 1] - line) * side < 0] = 0.0
    weights[:] = column * fade[:, None]
    for row in rows:
        weights[row[1:-1]] = np.eye(9)
        weights[row[[0, -1]]] = 0.0
    for row in other:
        weights[row] = 0.0
    return weights
