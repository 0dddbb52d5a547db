"""What moves in a filmed face: how far each point of its skin follows, and where it goes under a motion."""

import numpy as np
from numpy.typing import NDArray

from engines.mesh.head import expressive
from engines.mesh.lips import LipRig
from engines.mesh.motion import MeshMotion
from engines.mesh.topology import INNER_UPPER, LOWER_LIP_ROWS, UPPER_LIP_ROWS
from shared.easing import smoothstep
from shared.face.landmarks import OVAL, SURFACE, Face

# Towards the face's outline, which stays as filmed, movement fades over this distance (eye distances).
TO_OUTLINE = 0.34
# Under the eyes it fades from here (eye distances below the lower lids) over so much.
UNDER_EYES, CHEEKS = 0.16, 0.22
LOWER_LIDS = (145, 374)


class LowerFace:
    """Movements of a filmed face's skin, (468, 3) in head space and eye distances.

    free: (468,) 0 to 1, how far each point moves; 0 on the outline, the eyes, the brows and the forehead.
    """

    def __init__(self, rest: Face, local: NDArray[np.float64]) -> None:
        """rest: the film's face at rest; local: (478, 3) the same in head space."""
        self._rest = local[:SURFACE]
        self._lips = LipRig(rest)
        self._unit = rest.eye_distance
        self._expressive = expressive(rest).astype(np.float64)
        self.free = _free(self._rest)

    def settled(self, filmed: NDArray[np.float64], talks: float) -> NDArray[np.float64]:
        """(468, 3) a filmed face without its talk.

        filmed: (468, 3) the face in a frame, in head space; talks: 0 to 1, how far its mouth is brought to rest.
        """
        return np.asarray(filmed + (self._rest - filmed) * (self.free * talks)[:, None])

    def moved(self, settled: NDArray[np.float64], motion: MeshMotion) -> NDArray[np.float64]:
        """The movement of a face of `settled` under a motion."""
        skin = motion.skin * self._expressive
        parted = self._lips.part((skin * self._unit).astype(np.float32), motion, settled)
        return np.asarray((skin + parted) * self.free[:, None])

    def teeth(self, settled: NDArray[np.float64]) -> NDArray[np.float64]:
        """(468, 3) the face at rest, as high as this one's upper lip: where the upper teeth belong."""
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
    """(N,) distances from (N, 2) points to the segment from a to b."""
    along = b - a
    share = np.clip((points - a) @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
    return np.asarray(np.linalg.norm(points - (a + share[:, None] * along), axis=1))
