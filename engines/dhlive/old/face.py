"""A filmed face in the form that the old network's images need.

It is measured once, stored as tracked points, and placed when a session opens.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.dhlive.asset.placement import place_heads, smoothed
from engines.dhlive.old.points import CROP_TOP, JAW, LIPS_INNER, LIPS_OUTER, PLACED
from shared.errors import StudioError
from shared.runtime.arrays import UNREADABLE_ARRAYS

FILE = "points.npz"
HALF_SIDE = 0.6  # of the lower face's longer side
LIPS_SHARE = 0.9  # share of the lips' extent that the mouth image covers
REFERENCES = 5
MOUTH_ROWS, MOUTH_COLUMNS = 100, 150  # of the mouth image as placed on the face
STEPS = np.arange(5, 25, 2)  # canonical units by which the hole extends beyond the jaw, from the ears to the chin


@dataclass(frozen=True, slots=True)
class OldFace:
    """The face of a film, placed as the old generation expects it.

    points: (N, 478, 3) of each plate frame, in its pixels. rects: (N, 4) int64 squares. hole: (N, 21, 2), the furthest
        reach of the jaw. mouth: (N, 15000, 2) int64, the plate pixel of each pixel of the mouth image, row by row.
    """

    points: NDArray[np.float64]
    rects: NDArray[np.int64]
    hole: NDArray[np.float64]
    mouth: NDArray[np.int64]

    @classmethod
    def placed(
        cls, points: NDArray[np.float64], mean: NDArray[np.float64], width: int, height: int, name: str
    ) -> "OldFace":
        """Place the face in each frame of a film.

        points: (N, 478, 3), tracked. mean: (478, 3) canonical face. name: the avatar's name. Raises StudioError if the
            face extends beyond the film.
        """
        steady = smoothed(points.reshape(len(points), -1)).reshape(points.shape)
        matrices, personal = place_heads(steady[:, PLACED], mean[PLACED])
        ones = np.ones((*steady.shape[:2], 1))
        back = np.linalg.inv(matrices)
        canonical = np.einsum("nij,nvj->nvi", back, np.concatenate([steady, ones], axis=2))[..., :3]
        jaw = personal[[PLACED.index(point) for point in JAW]]
        hole = _projected(matrices, _hole(jaw, canonical[:, JAW]))
        mouth = _projected(matrices, _mouth_surface(canonical[:, LIPS_OUTER].reshape(-1, 3)))
        return cls(steady, crop_squares(steady, width, height, name), hole, mouth.astype(np.int64))

    def references(self) -> list[int]:
        """Return the reference frames: five, evenly spread over the half of the film with the widest open mouths."""
        gaps = np.linalg.norm(self.points[:, LIPS_INNER[5]] - self.points[:, LIPS_INNER[-5]], axis=1)
        open_ones = np.argsort(gaps, kind="stable")[len(gaps) // 2 :]
        return [int(open_ones[at]) for at in np.linspace(0, len(open_ones) - 1, REFERENCES).round().astype(int)]


def crop_squares(points: NDArray[np.float64], width: int, height: int, name: str) -> NDArray[np.int64]:
    """Return squares around the lower faces, (N, 4). Raises StudioError if one extends beyond the film."""
    around = points[:, JAW[2:-2], :2]
    low, high = around.min(axis=1), around.max(axis=1)
    low[:, 1] = points[:, CROP_TOP, 1]
    half = (high - low).max(axis=1) * HALF_SIDE
    middle = np.trunc((low + high) / 2)
    rects = np.trunc(np.concatenate([middle - half[:, None], middle + half[:, None]], axis=1)).astype(np.int64)
    if rects.min() < 0 or rects[:, 2].max() > width or rects[:, 3].max() > height:
        raise StudioError(f"The face leaves the frame in the film of avatar '{name}'; film it further from the edge.")
    return np.asarray(rects)


def _hole(jaw: NDArray[np.float64], seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the hole in canonical space, (21, 3): the jaw's furthest reach in any frame, (N, 21, 3), plus a margin."""
    hole, along = jaw.copy(), np.arange(10)
    hole[:10, 1] = seen[:, :10, 1].max(axis=0) + STEPS
    hole[:10, 0] = seen[:, :10, 0].max(axis=0) - (9 - along)
    hole[-10:, 1] = seen[:, -10:, 1].max(axis=0) - STEPS + 28
    hole[-10:, 0] = seen[:, -10:, 0].min(axis=0) + along
    hole[10, 1] = seen[:, 10, 1].max() + 25
    return hole


def _mouth_surface(lips: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mouth image's surface in canonical space, (15000, 3).

    It is a rectangle over all lips, (K, 3), bent backwards towards its sides.
    """
    middle, half = (lips.min(axis=0) + lips.max(axis=0)) / 2, (lips.max(axis=0) - lips.min(axis=0)) / 2 * LIPS_SHARE
    row, column = np.mgrid[:MOUTH_ROWS, :MOUTH_COLUMNS]
    side = MOUTH_COLUMNS / 2
    at = np.stack([column / (MOUTH_COLUMNS - 1), row / MOUTH_ROWS, ((column - side) / side) ** 2], axis=-1)
    return np.asarray(at.reshape(-1, 3) * 2 * half + middle - half)


def _projected(matrices: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project canonical points (K, 3) into each frame: (N, K, 2)."""
    return np.asarray(np.einsum("nij,kj->nki", matrices[:, :2, :3], points) + matrices[:, None, :2, 3])


def write_points(path: Path, points: NDArray[np.float64]) -> None:
    """Write the tracked points. Raises StudioError."""
    part = path.with_name(f".{path.name}")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, points=points.astype(np.float32))
        part.replace(path)
    except OSError as error:
        raise StudioError(f"{path} cannot be written ({error.strerror}); choose another place.") from None


def read_points(path: Path, frames: int, name: str) -> NDArray[np.float64]:
    """Read the points, (N, 478, 3). Raises StudioError if they do not belong to a film of this many frames."""
    try:
        with np.load(path, allow_pickle=False) as held:
            points = np.asarray(held["points"], np.float64)
    except FileNotFoundError:
        raise StudioError(
            f"Avatar '{name}' has not been prepared for DH_live; open it once with this engine."
        ) from None
    except UNREADABLE_ARRAYS as error:
        raise StudioError(f"{path} cannot be read ({type(error).__name__}); add the avatar again.") from None
    if points.shape != (frames, 478, 3) or not np.isfinite(points).all():
        raise StudioError(f"The face data of avatar '{name}' were measured in another film; add the avatar again.")
    return points
