"""A filmed face at rest: its calm mouth, a frame that shows it, and the frames in which its mouth speaks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.mesh.motion import CLOSED_GAP, MIDDLE, lip_gaps
from engines.mesh.topology import LOWER_LIP_ROWS, UPPER_LIP_ROWS
from shared.avatar.body_faces import BodyFaces
from shared.errors import StudioError
from shared.face.landmarks import RIGID, Face
from shared.face.time_filters import gaussian

SAMPLED_FRAMES = 240  # evenly spaced frames of a film from which its rest is determined
CALM_SHARE, LEAST_CALM = 0.2, 3  # share and minimum number of them that count as calm
# If the calmest mouth is open further than this, the person smiles with visible teeth, and the smile is the rest.
SMILING_GAP = 0.06
SETTLED_GAP = 0.004  # eye distances between resting lips
# A mouth starts to count as speaking where its gap (eye distances) moves back and forth by the first of these within
# TALK_S to either side, and is fully brought to rest from the second on. Movement within PLAY is noise.
TO_AND_FRO, PLAY = (0.02, 0.06), 0.006
APART = (0.008, 0.02)  # gaps over which lips increasingly count as apart
TALK_S, TALK_SIGMA_S = 0.5, 0.15
WIDE_OPEN = (0.012, 0.026)  # gaps over which the frame at rest increasingly lends its skin
LENT_FRAMES = 3  # frames to either side of such a frame, for a soft transition


@dataclass(frozen=True, slots=True)
class HeadPlace:
    """Position of a head in one frame.

    centre: (3,) mean of the points that do not move with expressions. turn: (3, 3) rotation. unit: eye distance in ROI
        pixels.
    """

    centre: NDArray[np.float64]
    turn: NDArray[np.float64]
    unit: float

    @classmethod
    def of(cls, face: Face) -> "HeadPlace":
        """Return the position of a face's head."""
        return cls(face.points[RIGID].mean(axis=0, dtype=np.float64), face.rotation, face.eye_distance)

    def local(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Convert (N, 3) points from ROI pixels to head space, in eye distances."""
        return np.asarray((points.astype(np.float64) - self.centre) @ self.turn / self.unit)

    def placed(self, local: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert (N, 3) points from head space to ROI pixels."""
        return local @ self.turn.T * self.unit + self.centre


@dataclass(frozen=True, slots=True)
class FilmRest:
    """The film's face at rest.

    frame: index of the frame that shows the face at rest. face: the face at rest, lips closed, at its position in that
        frame. local: (478, 3) the same in head space. talks: (N,) 0 to 1, how far each frame's mouth speaks and has to
        be brought to rest. parted: (N,) 0 to 1, how far its lips are too wide open to be closed with their own skin, so
        that the frame at rest lends its skin.
    """

    frame: int
    face: Face
    local: NDArray[np.float64]
    talks: NDArray[np.float32]
    parted: NDArray[np.float32]


def film_rest(faces: BodyFaces, fps: float) -> FilmRest:
    """Determine a film's rest. Raises StudioError if no frame shows a face."""
    seen = faces.seen()
    if not len(seen):
        raise StudioError("The body video shows no face to move; use source=portrait, or a body that shows one.")
    sampled = seen[np.unique(np.linspace(0, len(seen) - 1, min(len(seen), SAMPLED_FRAMES)).astype(int))]
    shapes, poses = [], []
    for index in sampled.tolist():
        face = faces.face(index)
        assert face is not None
        shapes.append(HeadPlace.of(face).local(face.points))
        poses.append(face.pose)
    locals_, turned = np.array(shapes), np.array(poses)
    open_ = np.array([lip_gaps(each)[MIDDLE].mean() for each in locals_])
    away = np.abs(turned - np.median(turned, axis=0)).max(axis=1) / 10.0
    order = np.argsort(np.maximum(open_, SETTLED_GAP) / CLOSED_GAP + away, kind="stable")
    calm = order[: max(LEAST_CALM, round(CALM_SHARE * len(order)))]
    local = np.median(locals_[calm], axis=0)
    if float(lip_gaps(local)[MIDDLE].mean()) < SMILING_GAP:
        _close_lips(local)
    off = np.abs(locals_[calm] - local)[:, UPPER_LIP_ROWS.ravel()].mean(axis=(1, 2))
    best = calm[int(np.argmin(off + 0.02 * away[calm]))]
    frame = int(sampled[best])
    shown = faces.face(frame)
    assert shown is not None
    face = Face(HeadPlace.of(shown).placed(local).astype(np.float32))
    gaps = faces.gaps()
    talks = _talks(gaps, fps)
    return FilmRest(frame, face, local, talks, _parted(gaps, talks))


def _close_lips(local: NDArray[np.float64]) -> None:
    """Bring both lips together halfway, in place; the rows of a lip move together."""
    gaps = lip_gaps(local)
    extra = np.maximum(gaps - SETTLED_GAP, 0.0) / 2
    for row in UPPER_LIP_ROWS:
        local[row[1:-1], 1] += extra
    for row in LOWER_LIP_ROWS:
        local[row[1:-1], 1] -= extra


def _talks(gaps: NDArray[np.float64], fps: float) -> NDArray[np.float32]:
    """Return how much a film's lips move back and forth, (N,) 0 to 1, for (N,) gaps.

    A smile that appears or stays is not talk. In a film that contains talk, lips that are apart count as well.
    """
    followed = np.empty_like(gaps)
    at = float(gaps[0])
    for index, gap in enumerate(gaps.tolist()):  # `at` ignores movement within PLAY, which is noise
        at = min(max(at, gap - PLAY), gap + PLAY)
        followed[index] = at
    reach = max(1, round(TALK_S * fps))
    way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(followed)))])
    every = np.arange(len(gaps))
    first, last = np.maximum(every - reach, 0), np.minimum(every + reach, len(gaps) - 1)
    back = (way[last] - way[first]) - np.abs(followed[last] - followed[first])
    t = np.clip((back - TO_AND_FRO[0]) / (TO_AND_FRO[1] - TO_AND_FRO[0]), 0.0, 1.0)
    if t.max() == 1.0:
        t = np.maximum(t, _near(np.clip((gaps - APART[0]) / (APART[1] - APART[0]), 0.0, 1.0), reach))
    return gaussian(t[:, None], max(TALK_SIGMA_S * fps, 0.1))[:, 0].astype(np.float32)


def _parted(gaps: NDArray[np.float64], talks: NDArray[np.float32]) -> NDArray[np.float32]:
    t = np.clip((gaps - WIDE_OPEN[0]) / (WIDE_OPEN[1] - WIDE_OPEN[0]), 0.0, 1.0) * talks
    return gaussian(_near(t, LENT_FRAMES)[:, None], LENT_FRAMES / 2)[:, 0].astype(np.float32)


def _near(values: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Return the largest value within this many frames of each frame, (N,)."""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(np.pad(values, frames), 2 * frames + 1).max(axis=1))
