"""Speech on a face: how a mouth shape moves this portrait's lips, jaw and cheeks, and its brows."""

import numpy as np
from numpy.typing import NDArray

from engines.mesh.motion import MIDDLE, lip_gaps
from engines.mesh.speech.articulation import MouthShape
from engines.mesh.topology import LOWER_LIP_ROWS, UPPER_LIP_ROWS
from shared.easing import smoothstep
from shared.face.landmarks import LIP_CORNERS, SURFACE, Face

CHIN = 152
BITE = 0.045  # eye distances between the lips when the lower one touches the upper teeth: enough to show the teeth
SMILING = 0.2  # extra opening of a portrait that smiles with open lips, because its lips are apart in every sound
BROW_UP = 0.05  # eye distances that raised brows rise
JAW_SHARE = 0.75  # share of the gap that the lower lip and the jaw make; the upper lip's rise makes the remainder
# At full strength, in eye distances: corners pulled apart, corners raised, corners drawn in, lips pushed forward, the
# lower lip raised and drawn in under the teeth, the upper lip raised to bare them, pressed lips thinned.
SPREAD, SMILE, ROUND, FORWARD, TUCK_UP, TUCK_IN, BARE, PRESS = 0.035, 0.008, 0.09, 0.06, 0.030, 0.03, 0.030, 0.010


class SpeakingFace:
    """The portrait's own lips and their speech movements, (468, 3) each, in head space and eye distances."""

    def __init__(self, face: Face) -> None:
        local = face.points.astype(np.float64) @ face.rotation / face.eye_distance
        self._gaps = np.maximum(lip_gaps(local), 0.0)
        self._gap = float(self._gaps[MIDDLE].mean())
        self._stretch = 1.0 + SMILING * min(1.0, self._gap / 0.1)
        columns = np.abs(np.arange(9) - 4) / 5
        self._outlines = 1.0 - columns**2, np.clip(1.0 - (columns / 0.85) ** 2, 0.0, 1.0)  # spread, round
        base = local[:SURFACE]
        lip = (local[13] + local[14]) / 2
        self._x, self._y = base[:, 0] - lip[0], base[:, 1] - lip[1]
        self._corner = float(np.abs(self._x[list(LIP_CORNERS)]).mean())
        self._jaw, self._rise = self._opening(max(float(local[CHIN, 1] - lip[1]), 0.1))
        self._wide, self._forward = self._ring()
        self._tuck, self._press = self._under_teeth(), self._pressed()
        height = (float(local[[33, 263], 1].mean()) - base[:, 1]) / 0.22  # about 1 on the brows
        self._brows = np.exp(-(((height - 1.0) / 0.55) ** 2))[:, None] * np.array([0.0, -BROW_UP, 0.0])

    def motion(
        self, mouth: MouthShape, brow: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return (9,) lips, (1,) seal and (468, 3) skin of a `MeshMotion`. brow: 0 to 1, raise of the brows."""
        spread, rounding = max(0.0, mouth.wide), min(1.0, max(0.0, -mouth.wide))
        outline = self._outlines[0] + (self._outlines[1] - self._outlines[0]) * rounding
        gap = max(mouth.gap * self._stretch, BITE * mouth.tuck)
        wanted = gap * outline * (1.0 - mouth.closed)
        seal = min(1.0, float(wanted[MIDDLE].mean()) / self._gap) if self._gap > 1e-4 else 1.0 - mouth.closed
        lips = np.maximum(wanted - self._gaps * seal, 0.0)
        drop = gap * (1.0 - 0.85 * mouth.closed)  # a jaw does not close for every p
        skin = (
            self._jaw * (JAW_SHARE * drop)
            + self._rise * ((1.0 - JAW_SHARE) * drop + BARE * mouth.tuck)
            + self._wide * ((SPREAD * spread - ROUND * rounding) * np.array([1.0, 0.0, 0.0]))
            + self._forward * (FORWARD * mouth.forward * np.array([0.0, 0.0, -1.0]))
            + self._forward * (np.abs(self._wide[:, :1]) * SMILE * spread * np.array([0.0, -1.0, 0.0]))
            + self._tuck * mouth.tuck
            + self._press * mouth.closed
        )
        said = mouth.speaking
        return (
            (lips * said).astype(np.float32),
            np.array([1.0 - (1.0 - seal) * said], np.float32),
            (skin * said + self._brows * brow).astype(np.float32),
        )

    def _opening(self, reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the unit movements of the parts that follow the jaw down and the upper lip up."""
        jaw, rise = np.zeros((SURFACE, 3)), np.zeros((SURFACE, 3))
        near = np.exp(-((self._x / 0.2) ** 4))
        down = np.where(self._y > 0, smoothstep(self._y / (0.35 * reach)), 0.0) * np.exp(-((self._x / 0.42) ** 2))
        lower, upper = np.zeros(SURFACE), np.zeros(SURFACE)
        lower[LOWER_LIP_ROWS[:, 1:-1]] = near[LOWER_LIP_ROWS[:, 1:-1]]
        upper[UPPER_LIP_ROWS[:, 1:-1]] = near[UPPER_LIP_ROWS[:, 1:-1]]
        jaw[:, 1] = np.maximum(down, lower)
        jaw[:, 2] = 0.1 * down  # the jaw turns about the ears
        under_nose = smoothstep(1 + self._y / 0.16) * np.exp(-((self._x / 0.2) ** 2))
        rise[:, 1] = -np.maximum(np.where(self._y <= 0, under_nose, 0.0), upper)
        rise[LOWER_LIP_ROWS[:, 1:-1]] = 0.0
        return jaw, rise

    def _ring(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (468, 1) weights of the lip corners' outward movement, signed, and of the lips' forward movement."""
        ring = np.exp(-((self._x / (1.6 * self._corner)) ** 4) - (self._y / 0.17) ** 2)
        wide = np.clip(self._x / self._corner, -1.3, 1.3) * ring
        return wide[:, None], (ring * np.exp(-((self._x / (1.1 * self._corner)) ** 2)))[:, None]

    def _under_teeth(self) -> NDArray[np.float64]:
        moved = np.zeros((SURFACE, 3))
        rows = LOWER_LIP_ROWS[:, 1:-1]
        depth = np.array([1.0, 0.9, 0.6, 0.25])[:, None] * np.exp(-((self._x[rows] / 0.2) ** 4))
        moved[rows, 1], moved[rows, 2] = -TUCK_UP * depth, TUCK_IN * depth
        return moved

    def _pressed(self) -> NDArray[np.float64]:
        moved = np.zeros((SURFACE, 3))
        outward = np.array([0.0, 0.3, 0.6, 1.0])[:, None]
        moved[UPPER_LIP_ROWS[:, 1:-1], 1] = PRESS * outward
        moved[LOWER_LIP_ROWS[:, 1:-1], 1] = -PRESS * outward
        return moved
