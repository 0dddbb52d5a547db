"""Light on a face: measurement of the skin's colour, and its transfer from one face to another."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import LEFT_EYE_CORNERS, LIP_CORNERS, OVAL, RIGHT_EYE_CORNERS, Face
from shared.face.time_filters import gaussian

MEASURE_PX = 160  # size at which faces are measured: enough for a mean, and fast
GAIN_RANGE = 0.6, 1.6
MIN_SKIN_PX = 50
SMOOTH_SIGMA_S = 0.4  # light changes slowly; faster changes are noise of the measurement
MIN_SPREAD = 1.0  # levels, below which the ratio of two spreads is meaningless
# Exponent by which the spread of each channel follows the plate's. A face's contrast is partly its own, and spreads of
# chroma are a few levels that depend on make-up and noise more than on light.
FOLLOW = np.array([0.35, 0.25, 0.25])
# BT.601 limited range, rows Y, U, V of (R, G, B) 0..255 (ITU-R BT.601-7, 8 bit).
RGB_TO_YUV = (
    np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], np.float64) / 255.0
)
YUV_BASE = np.array([16.0, 128.0, 128.0])


@dataclass(frozen=True, slots=True)
class SkinLight:
    """Light on the skin: mean of the lit pixels and standard deviation of Y, U and V, limited BT.601, (3,) float64."""

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


def measure_light(rgb: NDArray[np.uint8], face: Face) -> SkinLight | None:
    """Return the light on a face in a (H, W, 3) uint8 RGB image; None if too little skin is visible."""
    small, points = close_up(rgb, face, MEASURE_PX)
    mask = skin_mask(points, small.shape[1], small.shape[0])
    if int(np.count_nonzero(mask)) < MIN_SKIN_PX:
        return None
    yuv = small[mask > 0].astype(np.float64) @ RGB_TO_YUV.T + YUV_BASE
    return SkinLight(yuv[lit_pixels(yuv[:, 0])].mean(axis=0), yuv[lit_pixels(yuv[:, 0], 10)].std(axis=0))


def close_up(rgb: NDArray[np.uint8], face: Face, size: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return a square image in which the face is `size` pixels large, and the face's (478, 2) points in it.

    The margin around the face is a quarter of its size. The image is reduced by averaging, so that every pixel counts
    and faces of any size are measured alike.
    """
    left, top, _, _ = face.box
    scale = size / max(face.size, 1.0)
    side = size + size // 4 * 2
    x, y, span = left - (side - size) / 2 / scale, top - (side - size) / 2 / scale, side / scale
    x0, y0, x1, y1 = round(x), round(y), max(round(x + span), round(x) + 1), max(round(y + span), round(y) + 1)
    height, width = rgb.shape[:2]
    # A face may extend beyond the image, whose edge pixels are repeated there.
    rows, columns = np.clip(np.arange(y0, y1), 0, height - 1), np.clip(np.arange(x0, x1), 0, width - 1)
    crop = rgb[rows[:, None], columns[None]] if x0 < 0 or y0 < 0 or x1 > width or y1 > height else rgb[y0:y1, x0:x1]
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    factor = np.array([side / (x1 - x0), side / (y1 - y0)])
    points = (face.points[:, :2].astype(np.float64) - (x0, y0) + 0.5) * factor - 0.5
    return np.asarray(small, np.uint8), points


def skin_mask(points: NDArray[np.floating[Any]], width: int, height: int) -> NDArray[np.uint8]:
    """Return a (height, width) uint8 mask, 255 on the skin of a face whose (478, 2) points are in pixels.

    This is the face's oval without its rim (hair, neck), eyes, brows and lips.
    """
    mask = np.zeros((height, width), np.uint8)
    centre = points[OVAL].mean(axis=0)
    oval = centre + (points[OVAL] - centre) * 0.85
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(oval).astype(np.int32)), (255,))
    for corners in (RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS):
        a, b = points[corners[0]], points[corners[1]]
        radius = float(np.linalg.norm(a - b))
        up = (points[10] - points[152]) / max(float(np.linalg.norm(points[10] - points[152])), 1e-6)
        cv2.circle(mask, _pixel((a + b) / 2 + up * radius * 0.35), int(radius * 0.85), (0,), -1)
    a, b = points[LIP_CORNERS[0]], points[LIP_CORNERS[1]]
    across = float(np.linalg.norm(a - b))
    angle = float(np.degrees(np.arctan2(b[1] - a[1], b[0] - a[0])))
    cv2.ellipse(mask, _pixel((a + b) / 2), (int(across * 0.65), int(across * 0.45)), angle, 0, 360, (0,), -1)
    return mask


def smooth_lights(lights: list[SkinLight | None], fps: float) -> list[SkinLight]:
    """Return one light per frame, interpolated over gaps and smoothed; all NaN if no light is known."""
    known = np.array([index for index, light in enumerate(lights) if light is not None])
    values = np.array([np.concatenate([light.mean, light.spread]) for light in lights if light is not None])
    if not len(known):
        values, known = np.concatenate([np.full(3, np.nan), np.full(3, np.nan)])[None], np.array([0])
    every = np.arange(len(lights))
    whole = np.stack([np.interp(every, known, values[:, column]) for column in range(6)], axis=1)
    smooth = gaussian(whole, max(SMOOTH_SIGMA_S * fps, 1e-3))
    return [SkinLight(row[:3], row[3:]) for row in smooth]


def light_transfer(own: SkinLight | None, plate: list[SkinLight]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (N, 3) gains and offsets that change the light `own` to each of the plate's lights.

    out = gain * (v - 128) + 128 + offset has the plate light's mean and follows its contrast, by gains from 0.6 to 1.6
    (after Reinhard et al., CG&A 2001, in YUV). Gain 1 and offset 0 where a light is unknown.
    """
    gains = np.ones((len(plate), 3), np.float32)
    offsets = np.zeros((len(plate), 3), np.float32)
    if own is None:
        return gains, offsets
    for row, light in enumerate(plate):
        if not np.isfinite(light.mean).all():
            continue
        ratio = np.maximum(light.spread, MIN_SPREAD) / np.maximum(own.spread, MIN_SPREAD)
        gain = np.clip(ratio**FOLLOW, *GAIN_RANGE)
        gains[row] = gain
        offsets[row] = light.mean - (gain * (own.mean - 128.0) + 128.0)
    return gains, offsets


def lit_pixels(luma: NDArray[np.float64], darkest: float = 30.0) -> NDArray[np.bool_]:
    """Return a mask of the skin's pixels that represent its colour.

    It excludes the darkest `darkest` per cent, which are in shade or under hair, and the brightest tenth, which are
    highlights. If the shaded half of a face counted in the mean, the correction would overexpose the other half.
    """
    low, high = np.percentile(luma, (darkest, 90))
    return np.asarray((luma >= low) & (luma <= high), np.bool_)


def _pixel(point: NDArray[np.floating[Any]]) -> tuple[int, int]:
    return int(round(float(point[0]))), int(round(float(point[1])))
