"""Closing lids: how the skin around an eye moves with them."""

import numpy as np
from numpy.typing import NDArray

from engines.mesh.topology import BROWS, EYE_CORNERS, LOWER_LIDS, UPPER_LIDS
from shared.easing import smoothstep
from shared.face.landmarks import SURFACE, Face

# The tracker reads a closed eye as about this share of the open one; at that reading the portrait's lids meet.
SHUT = 0.30
WIDEST = 1.25  # largest lid opening relative to the portrait's own
MEET = 0.15  # lids meet above the lower lid by this share of the opening
LOWER_REACH = 0.10  # eye distances over which the skin under the eye follows the lower lid


class LidRig:
    """Moves the lids and the skin around them."""

    def __init__(self, face: Face) -> None:
        self._base = face.points[:SURFACE].astype(np.float64) @ face.rotation
        self._upper, self._lower, self._free = _lid_weights(self._base, face.eye_distance)

    def hold(self, skin: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a (468, 3) movement of the skin without the part that `close` applies to the lids."""
        return np.asarray(skin * self._free[:, None], np.float32)

    def close(self, ratios: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the movement, (468, 3) pixels in head space, that opens the lids by these ratios to neutral."""
        moved = np.zeros((SURFACE, 3))
        for eye in (0, 1):
            opening = lid_opening(float(ratios[eye]))
            if opening == 1.0:
                continue
            gap = self._base[LOWER_LIDS[eye]] - self._base[UPPER_LIDS[eye]]
            moved += self._upper[eye] @ ((1.0 - MEET) * (1.0 - opening) * gap)
            moved -= self._lower[eye] @ (MEET * (1.0 - opening) * gap)
        return moved


def lid_opening(ratio: float) -> float:
    """Return the portrait's lid opening relative to its own, for a driver's lid opening relative to neutral."""
    if ratio < 1.0:
        return max(0.0, (ratio - SHUT) / (1.0 - SHUT))
    return 1.0 + (WIDEST - 1.0) * float(np.tanh((ratio - 1.0) / (WIDEST - 1.0)))


def _lid_weights(
    base: NDArray[np.float64], unit: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return how the skin follows the lids: (2, 468, 7) upper and lower weights, and (468,) free shares.

    The weights say how much of the movement of each of the 7 lid columns every skin point adopts; the free share is how
    much of its own movement a point keeps.
    """
    upper, lower = np.zeros((2, SURFACE, 7)), np.zeros((2, SURFACE, 7))
    for eye in (0, 1):
        low, high = base[LOWER_LIDS[eye]], base[UPPER_LIDS[eye]]
        brow = base[BROWS[eye]]
        corners = base[EYE_CORNERS[eye]]
        left, right = sorted(corners[:, 0].tolist())
        width = right - left
        across = (base[:, 0] - left) / width
        within = np.clip(np.minimum(across, 1.0 - across) / 0.12 + 1.0, 0.0, 1.0)  # fades beyond the corners
        column = np.exp(-((base[:, None, 0] - high[None, :, 0]) ** 2) / (2 * (width / 10) ** 2)) + 1e-9
        column /= column.sum(axis=1, keepdims=True)
        lid_y = column @ high[:, 1]
        low_y = column @ low[:, 1]
        order = np.argsort(brow[:, 0])
        brow_y = np.interp(base[:, 0], brow[order, 0], brow[order, 1])
        rise = np.clip((lid_y - base[:, 1]) / np.maximum(lid_y - brow_y, 1.0), 0.0, None)
        drop = np.clip((base[:, 1] - low_y) / (LOWER_REACH * unit), 0.0, None)
        above = np.where(base[:, 1] <= (lid_y + low_y) / 2, smoothstep(1.0 - rise), 0.0) * within
        under = np.where(base[:, 1] > (lid_y + low_y) / 2, smoothstep(1.0 - drop), 0.0) * within
        upper[eye], lower[eye] = column * above[:, None], column * under[:, None]
        for ring, weights, opposite in (
            (UPPER_LIDS[eye], upper[eye], lower[eye]),
            (LOWER_LIDS[eye], lower[eye], upper[eye]),
        ):
            weights[ring], opposite[ring] = np.eye(7), 0.0
        for corner in EYE_CORNERS[eye]:
            upper[eye, corner] = lower[eye, corner] = 0.0
    held = np.maximum(upper.sum(axis=(0, 2)), lower.sum(axis=(0, 2)))
    return upper, lower, 1.0 - np.clip(held, 0.0, 1.0)
