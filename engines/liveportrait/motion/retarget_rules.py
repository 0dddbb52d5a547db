"""How a driver's motion is laid onto a source: which parts follow, how far, and what is corrected afterwards.

Numpy only. The rules are those of the published inference code, option by option, so that a result there is a result
here; the names of the options are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.liveportrait.motion.keypoints import POINTS, KeypointMotion, move_keypoints
from shared.media.array_types import FloatArray

MovedRegion = Literal["all", "exp", "pose", "lip", "eyes"]

LIP_ROWS, EYE_ROWS = [6, 12, 14, 17, 19, 20], [11, 13, 15, 16, 18]
LIP_OPEN = 0.03  # a source whose lips are further apart than this has them closed first, where that is asked for
EYES_OPEN, EYES_USUAL = 0.18, 0.39  # a source video whose eyes begin more closed than this is given usual ones


@dataclass(frozen=True, slots=True)
class RetargetOptions:
    """Which parts of a driver's motion a source follows.

    region: all of it, the expression, the head's pose, lips or eyes alone. relative: changes since the anchor, not the
    driver's own values. stitching: the seam to the shoulders is corrected. eyes, lips: the openings follow the driver's
    measured ones instead of its motion. close_lips: a source's open mouth is closed first. steady_eyes: a source
    video's own blinks are evened out. multiplier: of the whole movement.
    """

    region: MovedRegion = "all"
    relative: bool = True
    stitching: bool = True
    eyes: bool = False
    lips: bool = False
    close_lips: bool = False
    steady_eyes: bool = False
    multiplier: float = 1.0


@dataclass(frozen=True, slots=True)
class Ratios:
    """Openings over widths: (2,) of the eyes as the frame shows them from left to right, () of the lips."""

    eyes: FloatArray
    lips: FloatArray


@dataclass(frozen=True, slots=True)
class Correctors:
    """The retargeting networks, (N,) float32 to (M,): stitching 126 to 65, eyes 66 to 63, lips 65 to 63."""

    stitching: Callable[[FloatArray], FloatArray]
    eyes: Callable[[FloatArray], FloatArray]
    lips: Callable[[FloatArray], FloatArray]

    def stitch(self, source: FloatArray, driven: FloatArray) -> FloatArray:
        """The driven keypoints, corrected so that the shoulders stay in place."""
        delta = self.stitching(np.concatenate([source.ravel(), driven.ravel()]))
        points = driven + delta[:63].reshape(POINTS, 3)
        points[:, :2] += delta[63:]
        return points

    def eye_delta(self, source: FloatArray, own: FloatArray, wanted: float) -> FloatArray:
        """Change of the keypoints that opens the source's eyes from `own` (2,) to `wanted`."""
        return self.eyes(_joined(source, [*own, wanted])).reshape(POINTS, 3)

    def lip_delta(self, source: FloatArray, own: float, wanted: float) -> FloatArray:
        """Change of the keypoints that opens the source's lips from `own` to `wanted`."""
        return self.lips(_joined(source, [own, wanted])).reshape(POINTS, 3)


def _full() -> NDArray[np.bool_]:
    mask = np.zeros((POINTS, 3), bool)
    mask[[1, 2, 6, *range(11, POINTS)]] = True
    mask[[3, 4, 9], 1] = True
    mask[[5, 8, 9], 2] = True
    return mask


def _rows(rows: list[int]) -> NDArray[np.bool_]:
    mask = np.zeros((POINTS, 3), bool)
    mask[rows] = True
    return mask


ALL = np.ones((POINTS, 3), bool)
FULL, LIPS, EYES = _full(), _rows(LIP_ROWS), _rows(EYE_ROWS)
NONE = np.zeros((POINTS, 3), bool)
_SOME = {"lip": LIPS, "eyes": EYES, "pose": NONE}


def onto_still(
    source: KeypointMotion,
    driver: KeypointMotion,
    anchor: KeypointMotion,
    options: RetargetOptions,
    closed: FloatArray | None = None,
) -> FloatArray:
    """(21, 3) keypoints of a still source under a driver, before any correction.

    anchor: the driver's motion at rest. closed: the expression of closed lips, (21, 3), for a driver of one frame,
    which has no rest to compare with.
    """
    region = options.region
    moves_head = region in ("all", "pose")
    if not options.relative:
        mask = _SOME.get(region, FULL)
        exp = np.where(mask, driver.exp, source.exp)
        turn, t = (driver.rotation, driver.t) if moves_head else (source.rotation, source.t)
        return _points(source, source.scale, turn, exp, t)
    rest = anchor.exp if closed is None else closed
    if closed is not None and region == "eyes":
        rest = np.zeros_like(driver.exp)
    exp = np.where(_SOME.get(region, ALL), source.exp + (driver.exp - rest), source.exp)
    turned = np.asarray(driver.rotation @ anchor.rotation.T @ source.rotation, source.rotation.dtype)
    turn = turned if moves_head else source.rotation
    t = source.t + (driver.t - anchor.t) if moves_head else source.t
    scale = source.scale * (driver.scale / anchor.scale) if region == "all" else source.scale
    return _points(source, scale, turn, exp, t)


def onto_frame(
    source: KeypointMotion,
    driver: KeypointMotion,
    anchor: KeypointMotion,
    options: RetargetOptions,
    closed: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """The (21, 3) expression and (3, 3) rotation that one frame of a source video is to take, before smoothing.

    anchor, closed: as in `onto_still`.
    """
    if not options.relative:
        return driver.exp, driver.rotation
    if closed is not None:
        return source.exp + (driver.exp - closed), source.rotation
    turn = driver.rotation @ anchor.rotation.T @ source.rotation
    return source.exp + driver.exp - anchor.exp, np.asarray(turn, source.rotation.dtype)


def onto_moving(
    source: KeypointMotion, driver: KeypointMotion, exp: FloatArray, turn: FloatArray, options: RetargetOptions
) -> FloatArray:
    """(21, 3) keypoints of one frame of a source video. exp, turn: `onto_frame`, smoothed."""
    moves_head = options.region in ("all", "pose")
    exp = np.where(_SOME.get(options.region, FULL), exp, source.exp)
    t = driver.t if moves_head and not options.relative else source.t
    return _points(source, source.scale, turn if moves_head else source.rotation, exp, t)


def corrected(
    source: FloatArray,
    driven: FloatArray,
    options: RetargetOptions,
    nets: Correctors,
    own: Ratios | None,
    wanted: Ratios | None,
    steady: float | None = None,
) -> FloatArray:
    """(21, 3) keypoints to draw.

    source, driven: keypoints. own: the source's openings, wanted: the driver's; None where they are not known, and
    nothing is retargeted. steady: the eye opening that a source video keeps.
    """
    if options.eyes or options.lips:
        points = source.copy() if options.relative else driven
        if options.eyes and own is not None and wanted is not None:
            points = points + nets.eye_delta(source, own.eyes, float(wanted.eyes[0]))
        if options.lips and own is not None and wanted is not None:
            points = points + nets.lip_delta(source, float(own.lips), float(wanted.lips))
        points = nets.stitch(source, points) if options.stitching else points
    else:
        points = nets.stitch(source, driven) if options.stitching else driven
        if options.close_lips and options.relative and own is not None and own.lips >= LIP_OPEN:
            points = points + nets.lip_delta(source, float(own.lips), 0.0)
        if options.steady_eyes and own is not None and steady is not None:
            points = points + nets.eye_delta(source, own.eyes, steady)
    return np.asarray(source + (points - source) * np.float32(options.multiplier), np.float32)


def steady_opening(first: Ratios) -> float:
    """The eye opening that a source video keeps, from its first frame."""
    mean = float(first.eyes.mean())
    return mean if mean >= EYES_OPEN else EYES_USUAL


def _points(source: KeypointMotion, scale: FloatArray, turn: FloatArray, exp: FloatArray, t: FloatArray) -> FloatArray:
    assert source.kp is not None
    return move_keypoints(source.kp, scale, turn, exp, t)


def _joined(points: FloatArray, more: list[float]) -> FloatArray:
    return np.concatenate([points.ravel(), np.asarray(more, np.float32)])
