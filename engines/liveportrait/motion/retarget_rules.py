"""Rules that transfer a driver's motion to a source: which parts follow, how far, and which corrections come after.

Numpy only. The rules match the published inference code option by option and give the same results; only the names of
the options differ.
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
LIP_OPEN = 0.03  # with `close_lips`, a source whose lips are further apart than this has them closed first
EYES_OPEN, EYES_USUAL = 0.18, 0.39  # a source video whose eyes begin more closed than EYES_OPEN is given EYES_USUAL


@dataclass(frozen=True, slots=True)
class RetargetOptions:
    """Options of how a source follows a driver.

    region: the parts that follow: everything, the expression, the head's pose, the lips or the eyes. relative: apply
        changes since the anchor instead of the driver's absolute values. stitching: correct the seam to the shoulders.
        eyes, lips: openings follow the driver's measured ones instead of its motion. close_lips: close a source's open
        mouth first. steady_eyes: even out a source video's own blinks. multiplier: scales the whole movement.
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
    """Openings relative to widths. eyes: (2,), from left to right in the image. lips: ()."""

    eyes: FloatArray
    lips: FloatArray


@dataclass(frozen=True, slots=True)
class Correctors:
    """The retargeting networks as functions of (N,) float32: stitching 126 to 65, eyes 66 to 63, lips 65 to 63."""

    stitching: Callable[[FloatArray], FloatArray]
    eyes: Callable[[FloatArray], FloatArray]
    lips: Callable[[FloatArray], FloatArray]

    def stitch(self, source: FloatArray, driven: FloatArray) -> FloatArray:
        """Return the driven keypoints, corrected so that the shoulders stay in place."""
        delta = self.stitching(np.concatenate([source.ravel(), driven.ravel()]))
        points = driven + delta[:63].reshape(POINTS, 3)
        points[:, :2] += delta[63:]
        return points

    def eye_delta(self, source: FloatArray, own: FloatArray, wanted: float) -> FloatArray:
        """Return the change of the keypoints that opens the source's eyes from `own`, (2,), to `wanted`."""
        return self.eyes(_joined(source, [*own, wanted])).reshape(POINTS, 3)

    def lip_delta(self, source: FloatArray, own: float, wanted: float) -> FloatArray:
        """Return the change of the keypoints that opens the source's lips from `own` to `wanted`."""
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
    """Return the keypoints of a still source with a driver's motion, (21, 3), before any correction.

    anchor: the driver's motion at rest. closed: the expression of closed lips, (21, 3), for a driver of one frame,
        which shows no rest of its own.
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
    """Return the target (21, 3) expression and (3, 3) rotation of one frame of a source video, before smoothing.

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
    """Return the keypoints of one frame of a source video, (21, 3).

    exp, turn: the smoothed results of `onto_frame`.
    """
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
    """Return the keypoints to draw, (21, 3).

    source, driven: keypoints. own: the source's openings, wanted: the driver's; if either is None (unknown), openings
        are not retargeted. steady: the eye opening that a source video keeps.
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
    """Return the eye opening that a source video keeps, from the openings in its first frame."""
    mean = float(first.eyes.mean())
    return mean if mean >= EYES_OPEN else EYES_USUAL


def _points(source: KeypointMotion, scale: FloatArray, turn: FloatArray, exp: FloatArray, t: FloatArray) -> FloatArray:
    assert source.kp is not None
    return move_keypoints(source.kp, scale, turn, exp, t)


def _joined(points: FloatArray, more: list[float]) -> FloatArray:
    return np.concatenate([points.ravel(), np.asarray(more, np.float32)])
