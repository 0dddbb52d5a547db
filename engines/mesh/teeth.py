"""A drawn row of upper teeth for a portrait that shows none.

Separate teeth with the proportions of a jaw, lit like the face.
"""

import numpy as np
from numpy.typing import NDArray

from engines.mesh.topology import INNER_LOWER, INNER_UPPER
from shared.easing import smoothstep
from shared.face.landmarks import Face

# In eye distances (an outer eye distance is about 90 mm): how far the incisors extend below the closed lip line, and
# the height of a crown.
DOWN, CROWN = 0.034, 0.112
GUM = 0.05  # height of visible gum above the crowns
ROW = 1.2  # width of the row relative to the closed mouth: a smile shows more of it
# From the middle outwards: where each tooth ends, relative to half the row as seen from the front, and how much shorter
# it is than the first (eye distances). The second is the short one; the third, the canine, is pointed.
ENDS = np.array([0.235, 0.415, 0.59, 0.735, 0.855, 1.0, 1.6])
SHORTER = np.array([0.0, 0.009, 0.003, 0.011, 0.016, 0.022, 0.03])
CANINE = 2
COLOUR = np.array([0.99, 0.955, 0.88])  # relative to the light
WARMTH = 0.65  # share of the highlights' colour that is taken as the light's colour; the remainder is grey
PINK = np.array([0.78, 0.50, 0.48])  # gums, relative to the skin


def draw_row(
    face: Face, skin: NDArray[np.float64], light: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Draw the row of teeth, positioned at the closed lip line.

    skin, light: (3,) the face's median colour and its highlights. Returns (h, w, 4) uint8 premultiplied RGBA and its
        corner (left, top) in ROI pixels.
    """
    unit = face.eye_distance
    upper = face.points[INNER_UPPER, :2]
    middle = (upper + face.points[INNER_LOWER, :2]) / 2
    pad = int(0.25 * unit)
    left, top = (int(v) for v in np.floor(middle.min(axis=0)) - pad)
    right, bottom = (int(v) for v in np.ceil(middle.max(axis=0)) + pad)
    xs, ys = np.arange(left, right), np.arange(top, bottom)[:, None]
    span = max(float(upper[-1, 0] - upper[0, 0]), 1.0)
    across = np.clip((xs - upper[0, 0]) / span, -0.5, 1.5)
    line = 0.5 * np.interp(xs, middle[:, 0], middle[:, 1]) + 0.5 * (upper[0, 1] + (upper[-1, 1] - upper[0, 1]) * across)
    side = np.abs(across - 0.5) * 2.0 / ROW  # 0 in the middle, 1 where the row vanishes in the dark
    tooth = np.searchsorted(ENDS, side).clip(0, len(ENDS) - 1)
    start = np.concatenate([[0.0], ENDS])[tooth]
    width = ENDS[tooth] - start
    off = np.clip((side - start) / width, 0.0, 1.0) * 2.0 - 1.0  # -1 to 1 across one tooth
    tip = np.where(tooth == CANINE, 0.010 * np.abs(off) ** 1.5, 0.008 * np.abs(off) ** 5)
    end = line + unit * (DOWN * (1.0 - 1.1 * side**2) - SHORTER[tooth] - tip)
    up = (end[None, :] - ys) / (CROWN * unit)  # 0 at the biting edge, 1 at the gum
    edge = np.minimum(1.0 + off, 1.0 - off) * width * span * ROW / 4  # pixels to the neighbour
    alpha = (
        smoothstep(up * CROWN / 0.012 + 0.5)
        * smoothstep((1.0 + GUM / CROWN - up) / 0.1)
        * smoothstep((0.92 - side) / 0.3)[None, :]
    )
    shine = _shine(up, off, edge, unit) * (1.0 - 0.62 * np.clip(side, 0.0, 1.0) ** 1.6)[None, :]
    white = np.clip((WARMTH * light + (1.0 - WARMTH) * light.max()) * COLOUR, 0, 240)
    gum = smoothstep((up - 0.90 - 0.07 * (1.0 - off**2)[None, :]) / 0.08)[..., None]
    colour = shine[..., None] * (white + (PINK * skin - white) * gum)
    pixels = np.concatenate([colour * alpha[..., None], alpha[..., None] * 255.0], axis=2)
    return pixels.clip(0, 255).astype(np.uint8), (left, top)


def _shine(
    up: NDArray[np.float64], off: NDArray[np.float64], edge: NDArray[np.float64], unit: float
) -> NDArray[np.float64]:
    """Return the brightness, (h, w): round crowns, glassy biting edges, dark gaps between teeth, darkest below."""
    gap = np.exp(-((edge / max(0.006 * unit, 0.7)) ** 2))[None, :]
    meeting = 1.0 - gap * (0.10 + 0.26 * smoothstep((0.45 - up) / 0.45))
    crown = (1.0 - 0.10 * off**2)[None, :] * (0.90 + 0.10 * np.exp(-(((up - 0.42) / 0.3) ** 2)))
    glass = 1.0 - 0.12 * smoothstep((0.14 - up) / 0.14)
    return np.asarray(meeting * crown * glass)
