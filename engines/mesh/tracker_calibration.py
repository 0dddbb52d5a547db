"""How a tracker reads the portrait's own images, and how a motion is corrected so that it is read like the driver's.

A tracker is not a ruler. It reads a lifted upper lip as a nod and a mouth pulled aside as a turn, about equally in
every portrait; and it reads one portrait's mouth or nod as larger or smaller than another's. The first error is
corrected by a fixed rule in this module. The second is measured when the portrait is opened, on images of known
movements.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.mesh.lids import SHUT
from engines.mesh.motion import MIDDLE, REST, MeshMotion, NeutralMeasures, relative_motion
from engines.mesh.topology import INNER_UPPER
from shared.face.landmarks import Face
from shared.face.scripted import Gesture, shape
from shared.face.tracker import FaceTracker
from shared.media.array_types import ImageArray
from shared.runtime.files import write_atomically

RenderFunction = Callable[[MeshMotion], ImageArray]

LIP_CORNERS = [61, 291]
BROWS = [105, 334]
# Degrees (yaw, pitch, roll) that the tracker reads from a face whose head does not move. Rows, per eye distance: the
# mouth lifted as a whole, the upper lip lowered relative to the corners, the lips parted, narrowed (negative), widened,
# and pulled to the image's right, and the brows lowered; last, per difference of the lids' openings. Measured on five
# portraits with expressions but without head movement.
EXPRESSION = np.array(
    [
        [0.0, 16.0, 0.0],
        [0.0, 28.0, 0.0],
        [0.0, 12.0, 0.0],
        [0.0, 10.0, 0.0],
        [0.0, -8.0, 0.0],
        [6.0, 0.0, -3.0],
        [0.0, 50.0, 0.0],
        [0.0, 0.0, 3.0],
    ]
)
TRUST = 4.0  # soft limit, in degrees, of the reading that is corrected
PER_GAP = 1.1  # the middle of the lips opens further by this factor than the mean of their columns
PER_LIDS = 0.095  # opening of an ordinary eye in eye distances
# A measured gain is compensated with this power of it, because the measurement contains the tracker's noise, and within
# these limits, because beyond them the movement would look wrong.
TURN_SHARE, TURN_LIMIT = 0.5, (0.8, 1.25)
LIP_SHARE, LIP_LIMIT = 0.6, (0.85, 1.4)
LID_LIMIT = 0.75, 1.6
TURN_SWEEP = np.array([0.5, 1.0, 0.5, 0.0, -0.5, -1.0, -0.5])
SWEEP = np.array([0.35, 0.7, 1.0, 0.7, 0.35])
TURN_DEGREES = 7.0
# Files of the engine in the avatar's folder, for the portrait and for the body's own face. Results of another version
# are measured again.
FILE, BODY_FILE, VERSION = "reading.json", "body-reading.json", 1
SETTLE_FRAMES = 3  # images after which the video tracker has settled


@dataclass(frozen=True, slots=True)
class TrackerCalibration:
    """Corrections of a motion before it is drawn.

    turn: (3,) factors of yaw, pitch and roll. lips: factor of their gap. lids: exponent of a lid's closure, above 1 if
        the portrait's eyes are so large that they would appear to close before the driver's; closed eyes stay closed.
        blink: (3,) degrees of head turn that the tracker reads when both lids close fully.
    """

    turn: NDArray[np.float64]
    lips: float
    lids: float
    blink: NDArray[np.float64]

    def corrected(self, motion: MeshMotion) -> MeshMotion:
        """Return the motion whose drawn frame the tracker reads as `motion`."""
        read = expression(motion) @ EXPRESSION + self.blink * float(1.0 - np.minimum(motion.lids, 1.0).mean())
        turn = motion.turn * self.turn - TRUST * np.tanh(read / TRUST)
        closure = np.clip((1.0 - motion.lids) / (1.0 - SHUT), 0.0, 1.0)
        lids = np.where(closure > 0.0, 1.0 - (1.0 - SHUT) * closure**self.lids, motion.lids)
        return replace(
            motion,
            turn=turn.astype(np.float32),
            lips=(motion.lips * self.lips).astype(np.float32),
            lids=lids.astype(np.float32),
        )


PLAIN = TrackerCalibration(np.ones(3), 1.0, 1.0, np.zeros(3))


def expression(motion: MeshMotion) -> NDArray[np.float64]:
    """Return the quantities that EXPRESSION has a row for, (8,) in eye distances and lid openings; all 0 at rest."""
    skin = motion.skin
    upper = float(skin[INNER_UPPER[3:8], 1].mean())
    corners = float(skin[LIP_CORNERS, 1].mean())
    wider = float(skin[LIP_CORNERS[1], 0] - skin[LIP_CORNERS[0], 0])
    aside = float(skin[[0, 13], 0].mean())
    parted = min(float(motion.lips[MIDDLE].mean()), 0.2)
    return np.array(
        [
            (upper + corners) / 2,
            upper - corners,
            parted,
            min(wider, 0.0),
            max(wider, 0.0),
            aside,
            float(skin[BROWS, 1].mean()),
            float(motion.lids[0] - motion.lids[1]),
        ]
    )


def read_calibration(path: Path) -> TrackerCalibration | None:
    """Return the calibration in a file of `kept_calibration`, None if it is not measured yet, or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        turn, blink = np.array(found["turn"], np.float64), np.array(found["blink"], np.float64)
        if found["version"] == VERSION and turn.shape == blink.shape == (3,):
            return TrackerCalibration(turn, float(found["lips"]), float(found["lids"]), blink)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def kept_calibration(path: Path, measure: Callable[[], TrackerCalibration]) -> TrackerCalibration:
    """Return the calibration that an avatar keeps in a file; measured the first time.

    Measuring needs a tracker, and loading one takes longer than everything else that a restarting generator does.
    """
    if (found := read_calibration(path)) is not None:
        return found
    reading = measure()
    facts = {"version": VERSION, "turn": reading.turn.tolist(), "lips": reading.lips, "lids": reading.lids}
    try:
        write_atomically(path, json.dumps(facts | {"blink": reading.blink.tolist()}).encode(), 0o644)
    except OSError:
        pass  # if the folder is not writable, the calibration is measured each time
    return reading


def calibrate_tracker(render: RenderFunction, face: Face, *, turns: bool) -> TrackerCalibration:
    """Draw known movements of the portrait's face, track them, and derive the corrections.

    turns: also measure how far head turns are read. Takes about a third of a second. Returns PLAIN if the tracker finds
        no face in an image of the portrait.
    """
    neutral = NeutralMeasures(face)
    tracker = FaceTracker()
    for _ in range(SETTLE_FRAMES):
        rest = tracker.track(_shown(render, REST))
    if rest is None:
        return PLAIN
    parted, opened = _sweep(tracker, render, [_gesture(face, neutral, Gesture(mouth=0.8 * a)) for a in SWEEP], rest)
    shut, closed = _sweep(tracker, render, [_gesture(face, neutral, Gesture(blink=a)) for a in SWEEP], rest)
    if not parted or not shut:
        return PLAIN
    gap = _slope(np.array([m.lips[MIDDLE].mean() for m in parted]), opened[:, 0])
    closure = np.array([1.0 - m.lids.mean() for m in shut])
    lids = -_slope(closure, closed[:, 1])
    blink = np.array([_slope(closure, closed[:, 2 + axis]) for axis in range(3)])
    turn = _turns(tracker, render, rest) if turns else np.ones(3)
    return TrackerCalibration(
        turn=np.clip(np.maximum(turn, 0.3) ** -TURN_SHARE, *TURN_LIMIT),
        lips=float(np.clip((PER_GAP / max(gap, 0.1)) ** LIP_SHARE, *LIP_LIMIT)),
        lids=float(np.clip(lids / PER_LIDS, *LID_LIMIT)),
        blink=blink,
    )


def _turns(tracker: FaceTracker, render: RenderFunction, rest: Face) -> NDArray[np.float64]:
    """Return how far yaw and pitch are read relative to how far they were turned, (3,); 1 for roll."""
    gains = np.ones(3)
    for axis in (0, 1):
        angles = np.zeros((len(TURN_SWEEP), 3))
        angles[:, axis] = TURN_DEGREES * TURN_SWEEP
        _, seen = _sweep(tracker, render, [REST.with_turn(*a) for a in angles.tolist()], rest)
        if len(seen) == len(angles):
            gains[axis] = _slope(angles[:, axis], seen[:, 2 + axis])
    return gains


def _sweep(
    tracker: FaceTracker, render: RenderFunction, motions: list[MeshMotion], rest: Face
) -> tuple[list[MeshMotion], NDArray[np.float64]]:
    """Return the motions in which a face was found, and (N, 5) the signals read from them relative to `rest`."""
    kept, seen = [], []
    for motion in motions:
        face = tracker.track(_shown(render, motion))
        if face is not None:
            kept.append(motion)
            seen.append(face.signals - rest.signals)
    return kept, np.array(seen).reshape(-1, 5)


def _gesture(face: Face, neutral: NeutralMeasures, gesture: Gesture) -> MeshMotion:
    return relative_motion(shape(face, gesture), neutral)


def _shown(render: RenderFunction, motion: MeshMotion) -> ImageArray:
    return np.ascontiguousarray(render(motion)[..., :3])


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the slope of the least-squares line through the origin; 0 without data."""
    power = float((x * x).sum())
    return float((x * y).sum()) / power if power > 0.0 else 0.0
