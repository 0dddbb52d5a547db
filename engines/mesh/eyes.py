"""Eyes: an iris that moves beneath the lids, and the skin of a lid drawn over it as the eye closes.

The tracked edge of an eye is smaller than the visible eye: some of the white and all lashes are outside it. Moving the
lids as texture alone would leave that white visible. A closing lid is therefore drawn with skin extrapolated from
around the eye, and its lash line is drawn along its edge.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.mesh.lids import lid_opening
from engines.mesh.rasterizer import blend_covered, polygon_cover
from engines.mesh.topology import LOWER_LIDS, UPPER_LIDS, eye_ring
from shared.easing import smoothstep
from shared.face.landmarks import LEFT_IRIS, LEFT_IRIS_RING, RIGHT_IRIS, RIGHT_IRIS_RING, Face

Maps = list[NDArray[np.float32]]

BEYOND = 0.34  # the visible eye extends beyond its tracked edge by this share of its opening
BEYOND_PX = 4.0  # and by at least this many pixels
DRAWN = 0.3  # closure at which the drawn lid has completely replaced the portrait's own
LASH = 0.014  # thickness of a lash line in eye distances
LASH_STRENGTH = 0.9


@dataclass(slots=True)
class _Eye:
    """One eye of the portrait.

    ring: indices of its 16 mesh points. iris: (2,) centre of the iris in ROI pixels. radius: the iris's radius; width:
        the eye's width, both in pixels. solve: (3, 16) least-squares solver for an affine transform of the ring. lash:
        (3,) uint8 RGB colour of the lashes.
    """

    ring: NDArray[np.int64]
    iris: NDArray[np.float64]
    radius: float
    width: float
    solve: NDArray[np.float64]
    lash: NDArray[np.uint8]


class Eyes:
    """Draws both eyes over the warped portrait.

    roi: (512, 512, 3) uint8 RGB.
    """

    def __init__(self, roi: NDArray[np.uint8], face: Face) -> None:
        self.unit = face.eye_distance
        self._home = face.rotation
        self._roi = roi
        self._bare = roi.copy()  # the portrait with skin drawn over its eyes
        self._eyes = []
        irises = ((RIGHT_IRIS, RIGHT_IRIS_RING), (LEFT_IRIS, LEFT_IRIS_RING))
        for eye, (centre, rim) in enumerate(irises):
            points = face.points[:, :2]
            _grow_skin(self._bare, points[eye_ring(eye)], _opening(points, eye))
            self._eyes.append(_measure(roi, points, eye, points[centre], points[rim]))

    def draw(
        self,
        out: NDArray[np.uint8],
        maps: Maps,
        vertices: NDArray[np.float32],
        rigid: NDArray[np.float32],
        gaze: NDArray[np.float32],
        ratios: NDArray[np.float32],
    ) -> None:
        """Draw the eyes into `out`.

        out: (512, 512, 3) uint8, the portrait sampled through `maps` (see `rasterizer.rasterise`). vertices, rigid: see
            `head.MovedHead`. gaze: (2,) in eye distances in head space. ratios: (2,) lid openings relative to neutral.
        """
        look = (self._home[:2, :2] @ gaze) * self.unit
        for eye, ratio in zip(self._eyes, ratios, strict=True):
            closure = max(0.0, 1.0 - lid_opening(float(ratio)))
            if closure > 0.0 or float(np.hypot(*look)) > 0.02:
                self._draw_eye(out, maps, eye, vertices[eye.ring, :2], rigid[eye.ring], look, closure)

    def _draw_eye(
        self,
        out: NDArray[np.uint8],
        maps: Maps,
        eye: _Eye,
        ring: NDArray[np.float32],
        rigid: NDArray[np.float32],
        look: NDArray[np.float64],
        closure: float,
    ) -> None:
        reach = 0.3 * eye.width + 4.0  # margin for everything that the drawn lid may change
        low = np.maximum(np.floor(np.minimum(ring.min(axis=0), rigid.min(axis=0)) - reach).astype(int), 0)
        high = np.minimum(np.ceil(np.maximum(ring.max(axis=0), rigid.max(axis=0)) + reach).astype(int), out.shape[0])
        width, height = (int(v) for v in high - low)
        if width < 4 or height < 4:
            return
        left, top = int(low[0]), int(low[1])
        box = (slice(top, top + height), slice(left, left + width))
        cover = polygon_cover(ring, left, top, width, height)
        ball = self._ball(eye, rigid, look, left, top, width, height)
        patch = out[box]
        if ball is not None:
            blend_covered(ball, cover, patch, 0, 0)
        share = smoothstep(closure / DRAWN)
        if share == 0.0:
            return
        lid = np.asarray(
            cv2.remap(self._bare, maps[0][box], maps[1][box], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )
        if ball is not None:
            blend_covered(ball, cover, lid, 0, 0)
        lashes = _line_cover(ring[:9] - (left, top), width, height, LASH * self.unit * (0.8 + 0.6 * closure))
        strength = np.asarray(cv2.convertScaleAbs(lashes, alpha=LASH_STRENGTH), np.uint8)
        blend_covered(np.broadcast_to(eye.lash, lid.shape), strength, lid, 0, 0)
        patch[:] = cv2.addWeighted(lid, share, patch, 1.0 - share, 0.0)

    def _ball(
        self,
        eye: _Eye,
        rigid: NDArray[np.float32],
        look: NDArray[np.float64],
        left: int,
        top: int,
        width: int,
        height: int,
    ) -> NDArray[np.uint8] | None:
        """Return the eyeball, (height, width, 3) uint8, which moves with the head and not with the lids.

        None if the eye is seen too far from the side.
        """
        affine = (eye.solve @ rigid).T.astype(np.float64)  # (2, 3) portrait to output
        if abs(float(np.linalg.det(affine[:, :2]))) < 0.05:
            return None  # seen from the side
        back = cv2.invertAffineTransform(affine)
        xs = np.arange(left, left + width, dtype=np.float32)[None, :]
        ys = np.arange(top, top + height, dtype=np.float32)[:, None]
        u = back[0, 0] * xs + back[0, 1] * ys + back[0, 2]
        v = back[1, 0] * xs + back[1, 1] * ys + back[1, 2]
        # the iris and its surroundings shift as a whole; towards the corners the white stretches
        off = np.hypot(u - (eye.iris[0] + look[0]), v - (eye.iris[1] + look[1]))
        reach = 0.66 * eye.width
        carry = np.clip((reach - off) / max(reach - 1.1 * eye.radius, 1.0), 0.0, 1.0)
        u = (u - look[0] * carry).astype(np.float32)
        v = (v - look[1] * carry).astype(np.float32)
        return np.asarray(cv2.remap(self._roi, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _opening(points: NDArray[np.float32], eye: int) -> float:
    return float(np.linalg.norm(points[LOWER_LIDS[eye]] - points[UPPER_LIDS[eye]], axis=1).max())


def _measure(
    roi: NDArray[np.uint8],
    points: NDArray[np.float32],
    eye: int,
    iris: NDArray[np.float32],
    rim: NDArray[np.float32],
) -> _Eye:
    ring = eye_ring(eye)
    edge = points[ring]
    line = np.zeros(roi.shape[:2], np.uint8)
    cv2.polylines(line, [np.round(edge[1:8]).astype(np.int32)], False, (255,), 5)
    pixels = roi[line > 0].astype(np.float64)
    dark = pixels[pixels.sum(axis=1) <= np.percentile(pixels.sum(axis=1), 20)]
    return _Eye(
        ring=ring,
        iris=iris.astype(np.float64),
        radius=float(np.linalg.norm(rim - iris, axis=1).mean()),
        width=float(np.linalg.norm(edge[0] - edge[8])),
        solve=np.linalg.pinv(np.column_stack([edge, np.ones(len(edge))])),
        lash=np.round(dark.mean(axis=0)).astype(np.uint8),
    )


def _grow_skin(image: NDArray[np.uint8], edge: NDArray[np.float32], opening: float) -> None:
    """Replace the visible eye by a membrane spanned between the skin around it, in place."""
    beyond = max(BEYOND * opening, BEYOND_PX)
    pad = int(beyond) + 6
    low = np.maximum(np.floor(edge.min(axis=0)).astype(int) - pad, 0)
    high = np.minimum(np.ceil(edge.max(axis=0)).astype(int) + pad, image.shape[0])
    patch = image[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    hole = np.zeros(patch.shape[:2], np.uint8)
    cv2.fillPoly(hole, [np.round(edge - low).astype(np.int32)], (255,))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(0.6 * beyond) + 1, 2 * round(beyond) + 1))
    inside = cv2.dilate(hole, kernel)[..., None] > 0
    if inside.all():
        return
    fill = np.where(inside, patch[~inside[..., 0]].mean(axis=0), patch).astype(np.float32)
    for size in (15, 9, 5, 3):  # coarse to fine: each pass smooths what the last one left
        for _ in range(60):
            fill = np.where(inside, cv2.blur(fill, (size, size), borderType=cv2.BORDER_REPLICATE), patch)
    soft = cv2.GaussianBlur(inside[..., 0].astype(np.float32), (0, 0), 1.2)[..., None]
    image[low[1] : high[1], low[0] : high[0]] = np.round(patch + (fill - patch) * soft).clip(0, 255)


def _line_cover(line: NDArray[np.float32], width: int, height: int, thickness: float) -> NDArray[np.uint8]:
    """Return the coverage of a soft line that is thinner at its ends, (height, width) uint8."""
    scale = 4
    cover = np.zeros((height * scale, width * scale), np.uint8)
    points = np.round(((line + 0.5) * scale - 0.5) * 16).astype(np.int32)
    for index, (start, end) in enumerate(zip(points[:-1].tolist(), points[1:].tolist(), strict=True)):
        taper = 1.0 - 0.6 * abs(index - (len(points) - 2) / 2) / ((len(points) - 2) / 2)
        cv2.line(cover, start, end, (255,), max(1, round(thickness * scale * taper)), cv2.LINE_AA, 4)
    small = cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.7), np.uint8)
