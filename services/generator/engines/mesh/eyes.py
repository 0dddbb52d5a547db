"""Eyes: lids that close over an eyeball, and an iris that looks about beneath them."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.generator.engines.mesh.topology import (
    BROWS,
    EYE_CORNERS,
    LOWER_LIDS,
    SURFACE,
    UPPER_LIDS,
    eye_ring,
)
from services.generator.engines.mesh.warp import blend, polygon_cover
from shared.face import LEFT_IRIS, LEFT_IRIS_RING, RIGHT_IRIS, RIGHT_IRIS_RING, Face

# The tracker reads a closed eye as about this share of the open one; there the portrait's lids meet.
SHUT = 0.38
WIDEST = 1.35  # lid opening over the portrait's own, at most
MEET = 0.22  # lids meet this share of the opening above the lower lid
# The mesh's lid edge is drawn this far inside the eye (share of its opening, at most so many eye
# distances), so that the lash line belongs to the lid and moves with it.
INSET, INSET_END = 0.12, 0.012
LOWER_REACH = 0.10  # eye distances over which the skin under the eye follows the lower lid


class LidRig:
    """Moves the lids and the skin round them."""

    def __init__(self, face: Face) -> None:
        self.unit = face.eye_distance
        self._home = face.rotation
        self._base = face.points[:SURFACE].astype(np.float64) @ self._home
        self._upper, self._lower, self._free = _lid_weights(self._base, self.unit)

    def inset(self, skin: NDArray[np.float64]) -> NDArray[np.float64]:
        """The (468, 3) skin with the lid edges drawn a little into the eye."""
        result = skin.copy()
        for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
            gap = skin[lower] - skin[upper]
            length = np.linalg.norm(gap, axis=1, keepdims=True)
            step = np.minimum(INSET, INSET_END * self.unit / np.maximum(length, 1e-3))
            result[upper] += step * gap
            result[lower] -= 0.7 * step * gap
        return result

    def hold(self, skin: NDArray[np.float32]) -> NDArray[np.float32]:
        """A (468, 3) movement of the skin without what the lids do by `close`."""
        return np.asarray(skin * self._free[:, None], np.float32)

    def close(self, ratios: NDArray[np.float32]) -> NDArray[np.float64]:
        """(468, 3) head-space movement in pixels that brings the lids to these openings over neutral."""
        moved = np.zeros((SURFACE, 3))
        for eye in (0, 1):
            opening = lid_opening(float(ratios[eye]))
            gap = self._base[LOWER_LIDS[eye]] - self._base[UPPER_LIDS[eye]]
            moved += self._upper[eye] @ ((1.0 - MEET) * (1.0 - opening) * gap)
            moved -= self._lower[eye] @ (MEET * (1.0 - opening) * gap)
        return moved


def lid_opening(ratio: float) -> float:
    """How far the portrait's lids are open, over its own opening, for a driver's ratio to neutral."""
    if ratio < 1.0:
        return max(0.0, (ratio - SHUT) / (1.0 - SHUT))
    return 1.0 + (WIDEST - 1.0) * float(np.tanh((ratio - 1.0) / (WIDEST - 1.0)))


def _lid_weights(
    base: NDArray[np.float64], unit: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(2, 468, 7) upper and lower: how much of each lid column's movement every skin point takes along;
    (468,) how much of its own movement it keeps."""
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
        above = np.where(base[:, 1] <= (lid_y + low_y) / 2, _fade(rise), 0.0) * within
        under = np.where(base[:, 1] > (lid_y + low_y) / 2, _fade(drop), 0.0) * within
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


def _fade(value: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip(1.0 - value, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


@dataclass(slots=True)
class _Ball:
    """One eyeball's picture and where it lies.

    corner: (left, top) of the patch in ROI pixels; raw, clean: (h, w, 3) uint8, the portrait and the
    same with lashes and lids taken off; iris: (2,) centre in ROI pixels; radius: pixels.
    """

    ring: NDArray[np.int64]
    corner: tuple[int, int]
    raw: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    iris: NDArray[np.float64]
    radius: float
    width: float
    solve: NDArray[np.float64]


class Eyes:
    """Draws both eyeballs into the openings that the lids leave.

    roi: (512, 512, 3) uint8 RGB portrait; source: (N, 2) float32 mesh vertices in it.
    """

    def __init__(self, roi: NDArray[np.uint8], face: Face, source: NDArray[np.float32]) -> None:
        self.unit = face.eye_distance
        self._home = face.rotation
        irises = ((RIGHT_IRIS, RIGHT_IRIS_RING), (LEFT_IRIS, LEFT_IRIS_RING))
        self._balls = [
            _ball(roi, source, eye_ring(eye), face.points[c, :2], face.points[r, :2])
            for eye, (c, r) in enumerate(irises)
        ]

    def draw(
        self,
        out: NDArray[np.uint8],
        vertices: NDArray[np.float32],
        rigid: NDArray[np.float32],
        gaze: NDArray[np.float32],
        ratios: NDArray[np.float32],
    ) -> None:
        """Draw into out, (512, 512, 3) uint8. vertices, rigid: see `head.Moved`; gaze: (2,) in eye distances
        in head space; ratios: (2,) lid openings over neutral."""
        look = (self._home[:2, :2] @ gaze) * self.unit
        for ball, ratio in zip(self._balls, ratios, strict=True):
            _draw_ball(out, ball, vertices[ball.ring, :2], rigid[ball.ring], look, float(ratio))


def _ball(
    roi: NDArray[np.uint8],
    source: NDArray[np.float32],
    ring: NDArray[np.int64],
    iris: NDArray[np.float32],
    rim: NDArray[np.float32],
) -> _Ball:
    edge = source[ring]
    width = float(np.linalg.norm(edge[0] - edge[8]))
    pad = int(0.35 * width) + 4
    left, top = np.floor(edge.min(axis=0)).astype(int) - pad
    right, bottom = np.ceil(edge.max(axis=0)).astype(int) + pad
    left, top = max(left, 0), max(top, 0)
    raw = roi[top : bottom + 1, left : right + 1]
    radius = float(np.linalg.norm(rim - iris, axis=1).mean())
    cover = polygon_cover(edge, left, top, raw.shape[1], raw.shape[0])
    inside = cv2.erode(cover, np.ones((3, 3), np.uint8)) > 200
    if inside.sum() < 12:  # an eye that is shut in the portrait: nothing to take an eyeball from
        inside = cover > 128
    clean = _without_lids(raw, inside, iris - (left, top), radius)
    at = np.column_stack([edge, np.ones(len(edge))])
    return _Ball(ring, (int(left), int(top)), raw, clean, iris.astype(np.float64), radius, width, np.linalg.pinv(at))


def _without_lids(
    raw: NDArray[np.uint8], inside: NDArray[np.bool_], iris: NDArray[np.float32], radius: float
) -> NDArray[np.uint8]:
    """The eyeball carried on under the lids: the iris mirrored about its own middle, the white grown
    outwards from what is seen of it."""
    clean, known = raw.copy(), inside.copy()
    height, width = inside.shape
    ys, xs = np.mgrid[:height, :width]
    within = np.hypot(xs - iris[0], ys - iris[1]) < radius * 1.05
    mirror = np.clip(np.round(2 * iris[1] - ys).astype(int), 0, height - 1)
    usable = within & ~inside & inside[mirror, xs]
    clean[usable] = raw[mirror[usable], xs[usable]]
    known |= usable
    if not known.any():
        return clean
    hole = np.where(known, 0, 255).astype(np.uint8)
    return np.asarray(cv2.inpaint(clean, hole, 3, cv2.INPAINT_TELEA), np.uint8)


def _draw_ball(
    out: NDArray[np.uint8],
    ball: _Ball,
    ring: NDArray[np.float32],
    rigid: NDArray[np.float32],
    look: NDArray[np.float64],
    ratio: float,
) -> None:
    low = np.maximum(np.floor(ring.min(axis=0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(ring.max(axis=0)).astype(int) + 3, out.shape[0])
    width, height = (int(v) for v in high - low)
    if width < 3 or height < 1:
        return
    affine = (ball.solve @ rigid).T.astype(np.float64)  # (2, 3) portrait to output, by head movement
    if abs(float(np.linalg.det(affine[:, :2]))) < 0.05:
        return  # seen from the side
    back = cv2.invertAffineTransform(affine)
    xs = np.arange(low[0], high[0], dtype=np.float32)[None, :]
    ys = np.arange(low[1], high[1], dtype=np.float32)[:, None]
    u = (back[0, 0] * xs + back[0, 1] * ys + back[0, 2]).astype(np.float32)
    v = (back[1, 0] * xs + back[1, 1] * ys + back[1, 2]).astype(np.float32)
    # the iris and what is near it shift whole; towards the corners the white stretches
    centre = ball.iris + look
    off = np.hypot(u - centre[0], v - centre[1])
    reach = 0.62 * ball.width
    carry = np.clip((reach - off) / max(reach - ball.radius, 1.0), 0.0, 1.0)
    u = (u - look[0] * carry - ball.corner[0]).astype(np.float32)
    v = (v - look[1] * carry - ball.corner[1]).astype(np.float32)
    change = min(1.0, max(abs(1.0 - ratio) / 0.12, float(np.hypot(*look)) / (0.12 * ball.width)))
    patch = cv2.remap(ball.raw, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if change > 0.0:
        clean = cv2.remap(ball.clean, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        patch = cv2.addWeighted(clean, change, patch, 1.0 - change, 0.0)
    cover = polygon_cover(ring, int(low[0]), int(low[1]), width, height)
    blend(patch, cover, out, int(low[0]), int(low[1]))
