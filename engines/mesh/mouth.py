"""The inside of the mouth, between the lips.

The portrait's own teeth if it shows them, else a drawn row of teeth lit like the face; behind them a dark mouth with a
tongue.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.mesh.rasterizer import blend_covered, polygon_cover
from engines.mesh.teeth import draw_row
from engines.mesh.topology import INNER_LOWER, INNER_UPPER, mouth_ring
from shared.easing import smoothstep
from shared.face import similarity
from shared.face.landmarks import Face

SHOWS_TEETH = 0.05  # lip gap (eye distances) from which a portrait's own mouth interior is used
BRIGHT, TINT = 0.7, 0.9  # least brightness and most redness, relative to the skin, of an interior that counts as teeth
FLESH = np.array([0.50, 0.22, 0.21])  # tongue and gums, relative to the skin
DARK = np.array([0.19, 0.08, 0.07])
# The interior replaces the portrait's own lip line as the lip gap changes from rest by PART[0] to PART[1].
PART = (0.012, 0.05)


@dataclass(frozen=True, slots=True)
class _Canvas:
    """Teeth as (h, w, 4) uint8 premultiplied RGBA, with their corner (left, top) in ROI pixels."""

    pixels: NDArray[np.uint8]
    corner: tuple[int, int]


class MouthPainter:
    """Draws the mouth's interior into the opening between the lips."""

    def __init__(self, roi: NDArray[np.uint8], face: Face, *, filmed: bool = False) -> None:
        """Measure the portrait's mouth and prepare its teeth.

        filmed: the face is one frame of a film whose other frames are drawn. The row of teeth is then positioned
            without shear: closed lips are nearly on one line, and the lips of another frame are not simply the same
            lips moved.
        """
        self.unit = face.eye_distance
        self._ring = mouth_ring()
        self._edge, self._filmed = face.points[self._ring, :2], filmed
        edge = self._edge
        self._rest_gap = face.mouth_opening
        self._solve = np.linalg.pinv(np.column_stack([edge, np.ones(len(edge))]))
        self._down = (face.rotation[:2, 1] / np.linalg.norm(face.rotation[:2, 1])).astype(np.float32)
        skin, light = _skin(roi, face)
        self._skin = skin
        self.own_teeth = self._rest_gap > SHOWS_TEETH and _are_teeth(roi, edge, skin)
        self._canvas = _own_teeth(roi, face, self.unit) if self.own_teeth else _Canvas(*draw_row(face, skin, light))

    def draw(
        self,
        out: NDArray[np.uint8],
        vertices: NDArray[np.float32],
        rigid: NDArray[np.float32],
        beneath: float = 0.0,
    ) -> None:
        """Draw into `out`, (h, w, 3) uint8, which already shows the portrait's own mouth stretched over the opening.

        vertices, rigid: see `head.MovedHead`. beneath: gap (eye distances) of a filmed mouth that is stretched over the
            opening and whose interior must be covered.
        """
        ring = vertices[self._ring, :2]
        gaps = np.linalg.norm(vertices[INNER_LOWER, :2] - vertices[INNER_UPPER, :2], axis=1) / self.unit
        change = max(abs(float(gaps[5]) - self._rest_gap), beneath)
        share = min(1.0, max(0.0, (change - PART[0]) / (PART[1] - PART[0])))
        if share <= 0.0 or gaps.max() < 0.01:
            return
        low = np.maximum(np.floor(ring.min(axis=0)).astype(int) - 2, 0)
        high = np.minimum(np.ceil(ring.max(axis=0)).astype(int) + 3, out.shape[1::-1])
        width, height = (int(v) for v in high - low)
        if width < 3 or height < 2:
            return
        left, top = int(low[0]), int(low[1])
        cover = polygon_cover(ring, left, top, width, height)
        patch = self._interior(ring, rigid, left, top, width, height, cover)
        soft = cv2.convertScaleAbs(cv2.GaussianBlur(cover, (3, 3), 0), alpha=share)
        blend_covered(patch, np.asarray(soft, np.uint8), out, left, top)

    def _interior(
        self,
        ring: NDArray[np.float32],
        rigid: NDArray[np.float32],
        left: int,
        top: int,
        width: int,
        height: int,
        cover: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        affine = self._to_frame(self._anchor(ring, rigid[self._ring]))
        shift = np.array([self._canvas.corner]).T
        affine[:, 2] += affine[:, :2] @ shift[:, 0] - (left, top)
        teeth = cv2.warpAffine(self._canvas.pixels, affine, (width, height), flags=cv2.INTER_LINEAR)
        depth = self._cavity(ring, left, top, width, height)
        # lips shade the interior, most in the corners
        lit = cv2.GaussianBlur(cover, (0, 0), 0.036 * self.unit).astype(np.float32) / 255.0
        shade = np.clip(0.05 + 1.15 * lit, 0.0, 1.0)[..., None]
        through = 1.0 - teeth[..., 3:].astype(np.float32) / 255.0
        inside = teeth[..., :3] + depth * through
        if self.own_teeth:  # photographed teeth already contain their shading
            shade = 1.0 - (1.0 - shade) * through
        return np.asarray(np.clip(inside * shade, 0, 255), np.uint8)

    def _to_frame(self, anchor: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the (2, 3) transform from the portrait to the teeth's place in the frame."""
        if self._filmed:
            return similarity.fit(self._edge, anchor)
        return np.asarray((self._solve @ anchor).T, np.float64)

    def _anchor(self, ring: NDArray[np.float32], rigid: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return where the ring would be if it were fixed to the teeth, (20, 2).

        The head alone moves it, but a wide mouth widens it too, because a grin would otherwise show the end of the row
        of teeth.
        """
        along = rigid[10] - rigid[0]
        length = float(np.linalg.norm(along))
        along = along / max(length, 1e-3)
        wider = np.clip(float(np.linalg.norm(ring[10] - ring[0])) / max(length, 1e-3), 0.9, 1.5) - 1.0
        middle = (rigid[0] + rigid[10]) / 2
        offset = (rigid - middle) @ along
        return np.asarray(rigid + np.outer(offset * wider, along), np.float32)

    def _cavity(self, ring: NDArray[np.float32], left: int, top: int, width: int, height: int) -> NDArray[np.float32]:
        """Return the dark cavity and the tongue, which rests on the lower jaw, (h, w, 3) float32."""
        lower = ring[10:]
        floor = lower[np.argmax(lower @ self._down)]
        across = float(np.linalg.norm(ring[0] - ring[10]))
        xs = np.arange(left, left + width, dtype=np.float32)[None, :]
        ys = np.arange(top, top + height, dtype=np.float32)[:, None]
        x, y = xs - floor[0], ys - floor[1]
        up = -(x * self._down[0] + y * self._down[1]) / self.unit
        side = (x * self._down[1] - y * self._down[0]) / max(across, 1.0)
        tongue = smoothstep(1.0 - np.hypot(side / 0.42, up / 0.16))[..., None]
        return np.asarray((DARK + (FLESH - DARK) * tongue) * self._skin, np.float32)


def _skin(roi: NDArray[np.uint8], face: Face) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the median colour of the skin on the cheeks and of its highlights, each (3,)."""
    cover = np.zeros(roi.shape[:2], np.uint8)
    for cheek in ((50, 36, 205, 187, 147, 123), (280, 266, 425, 411, 376, 352)):
        cv2.fillConvexPoly(cover, cv2.convexHull(face.points[list(cheek), :2].copy()).astype(np.int32), (255,))
    pixels = roi[cover > 0].astype(np.float64)
    if len(pixels) < 20:
        pixels = roi.reshape(-1, 3).astype(np.float64)
    return np.median(pixels, axis=0), np.percentile(pixels, 85, axis=0)


def _are_teeth(roi: NDArray[np.uint8], edge: NDArray[np.float32], skin: NDArray[np.float64]) -> bool:
    """Whether the area between the portrait's lips is as bright as teeth and no redder than its skin."""
    cover = np.zeros(roi.shape[:2], np.uint8)
    cv2.fillPoly(cover, [np.round(edge).astype(np.int32)], (255,))
    inside = roi[cover > 0].astype(np.float64)
    if len(inside) == 0:
        return False
    colour = inside.mean(axis=0)
    return bool(colour.mean() > BRIGHT * skin.mean() and colour[1] / colour[0] > TINT * skin[1] / skin[0])


def _own_teeth(roi: NDArray[np.uint8], face: Face, unit: float) -> _Canvas:
    """Return the portrait's own teeth, cut out along the lips, with a soft edge towards the dark below."""
    edge = face.points[mouth_ring(), :2]
    pad = int(0.1 * unit)
    left, top = (int(v) for v in np.floor(edge.min(axis=0)) - pad)
    right, bottom = (int(v) for v in np.ceil(edge.max(axis=0)) + pad)
    patch = roi[top:bottom, left:right]
    cover = polygon_cover(edge, left, top, right - left, bottom - top)
    inside = cv2.erode(cover, np.ones((3, 3), np.uint8))
    # above, the teeth continue behind the upper lip; at the corners and below they end
    hole = np.where(inside > 200, 0, 255).astype(np.uint8)
    grown = cv2.inpaint(patch, hole, 3, cv2.INPAINT_TELEA)
    upper = face.points[INNER_UPPER, :2]
    line = np.interp(np.arange(left, right), upper[:, 0], upper[:, 1])
    above = (
        (np.arange(top, bottom)[:, None] < line[None, :] + 2.0)
        & (np.arange(left, right) > upper[1, 0])
        & (np.arange(left, right) < upper[-2, 0])
    )
    alpha = np.maximum(cv2.GaussianBlur(inside, (0, 0), 1.2), (above * 255).astype(np.uint8)).astype(np.float32)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 1.6)[..., None] / 255.0
    return _Canvas(np.concatenate([grown * alpha, alpha * 255.0], axis=2).astype(np.uint8), (left, top))
