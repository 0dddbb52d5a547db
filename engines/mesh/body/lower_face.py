"""The moving part of a filmed face: how far each point of its skin follows a motion, and where it goes."""

import numpy as np
from numpy.typing import NDArray

from engines.mesh.head import expressive
from engines.mesh.lips import LipRig
from engines.mesh.motion import MeshMotion
from engines.mesh.topology import INNER_UPPER, LOWER_LIP_ROWS, UPPER_LIP_ROWS
from shared.easing import smoothstep
from shared.face.landmarks import OVAL, SURFACE, Face

# Movement fades over this distance (eye distances) towards the face's outline, which stays as filmed.
TO_OUTLINE = 0.34
# Under the eyes movement fades from UNDER_EYES (eye distances below the lower lids) over CHEEKS.
UNDER_EYES, CHEEKS = 0.16, 0.22
LOWER_LIDS = (145, 374)


class LowerFace:
    """Movements of a filmed face's skin, (468, 3) in head space and eye distances.

    free: (468,) 0 to 1, how far each point moves; 0 on the outline, the eyes, the brows and the forehead.
    """

    def __init__(self, rest: Face, local: NDArray[np.float64]) -> None:
        """Measure how far each point moves.

        rest: the film's face at rest; local: (478, 3) the same in head space.
        """
        self._rest = local[:SURFACE]
        self._lips = LipRig(rest)
        self._unit = rest.eye_distance
        self._expressive = expressive(rest).astype(np.float64)
        self.free = _free(self._rest)

    def settled(self, filmed: NDArray[np.float64], talks: float) -> NDArray[np.float64]:
        """Return a filmed face without its talking movements, (468, 3).

        filmed: (468, 3) the face in a frame, in head space; talks: 0 to 1, how far its mouth is brought to rest.
        """
        return np.asarray(filmed + (self._rest - filmed) * (self.free * talks)[:, None])

    def moved(self, settled: NDArray[np.float64], motion: MeshMotion) -> NDArray[np.float64]:
        """Return the movement that a motion applies to a face returned by `settled`."""
        skin = motion.skin * self._expressive
        parted = self._lips.part((skin * self._unit).astype(np.float32), motion, settled)
        return np.asarray((skin + parted) * self.free[:, None])

    def teeth(self, settled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the place of the upper teeth: the face at rest, (468, 3), raised to this face's upper lip."""
        middle = INNER_UPPER[3:8]
        up = float((settled[middle, 1] - self._rest[middle, 1]).mean())
        return np.asarray(self._rest + (0.0, up, 0.0))


def _free(local: NDArray[np.float64]) -> NDArray[np.float64]:
    outline = local[OVAL, :2]
    near = np.min(
        [_from_segment(local[:, :2], a, b) for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True)], axis=0
    )
    inward = np.clip(near / TO_OUTLINE, 0.0, 1.0)
    start = float(local[list(LOWER_LIDS), 1].mean()) + UNDER_EYES
    free = inward * (2.0 - inward) * smoothstep((local[:, 1] - start) / CHEEKS)
    free[OVAL] = 0.0
    free[UPPER_LIP_ROWS] = free[LOWER_LIP_ROWS] = 1.0
    return np.asarray(free)


def _from_segment(points: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances, (N,), from (N, 2) points to the segment from a to b."""
    along = b - a
    share = np.clip((points - a) @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
    return np.asarray(np.linalg.norm(points - (a + share[:, None] * along), axis=1))
