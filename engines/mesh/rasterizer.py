"""Loops over pixels: triangles to a sampling map, the person over the background, and a blend by coverage."""

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.compiled import njit

EDGE_PX = 1e-3  # pixels by which a triangle extends beyond its edge, so that neighbours leave no gap


@njit(cache=True, fastmath=True)
def rasterise(
    moved: NDArray[np.float32],
    source: NDArray[np.float32],
    triangles: NDArray[np.int32],
    map_x: NDArray[np.float32],
    map_y: NDArray[np.float32],
    start: int,
    stop: int,
) -> None:
    """Write, for every pixel of the rows from start up to stop, its coordinates in the source.

    moved: (N, 3) float32 vertices in output pixels, z away from the viewer. source: (N, 2) float32 the same vertices in
        the source. Triangles of positive area are drawn over one another in the given order, see `far_to_near`; the
        others face away and are skipped. map_x, map_y: (H, W) float32 output, unchanged where nothing is drawn.
    """
    width = map_x.shape[1]
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0 = moved[i, 0], moved[i, 1]
        top = max(start, int(np.ceil(min(y0, moved[j, 1], moved[k, 1]) - EDGE_PX)))
        bottom = min(stop - 1, int(np.floor(max(y0, moved[j, 1], moved[k, 1]) + EDGE_PX)))
        if top > bottom:
            continue
        x1, y1 = moved[j, 0] - x0, moved[j, 1] - y0
        x2, y2 = moved[k, 0] - x0, moved[k, 1] - y0
        area = x1 * y2 - x2 * y1
        if area <= 1e-3:
            continue
        inverse = 1.0 / area
        # barycentric weights of the second and third corner, as planes over x and y
        bx, by = y2 * inverse, -x2 * inverse
        cx, cy = -y1 * inverse, x1 * inverse
        u0, v0 = source[i, 0], source[i, 1]
        u1, v1 = source[j, 0] - u0, source[j, 1] - v0
        u2, v2 = source[k, 0] - u0, source[k, 1] - v0
        ux, uy = u1 * bx + u2 * cx, u1 * by + u2 * cy
        vx, vy = v1 * bx + v2 * cx, v1 * by + v2 * cy
        step_u, step_v = np.float32(ux), np.float32(vx)
        # the edge opposite each corner, as x over y; `towards` is -1 if the triangle is to the left of it
        start_b, slope_b, towards_b = _edge(bx, by, 0.0)
        start_c, slope_c, towards_c = _edge(cx, cy, 0.0)
        start_a, slope_a, towards_a = _edge(-bx - cx, -by - cy, 1.0)
        for y in range(top, bottom + 1):
            dy = y - y0
            low, high = -1e6, 1e6
            low, high = _cut(low, high, start_a + slope_a * dy, towards_a)
            low, high = _cut(low, high, start_b + slope_b * dy, towards_b)
            low, high = _cut(low, high, start_c + slope_c * dy, towards_c)
            first = max(0, int(np.ceil(low + x0 - EDGE_PX)))
            last = min(width - 1, int(np.floor(high + x0 + EDGE_PX)))
            along = first - x0
            u, v = np.float32(u0 + ux * along + uy * dy), np.float32(v0 + vx * along + vy * dy)
            for n in range(last + 1 - first):
                map_x[y, first + n] = u + step_u * np.float32(n)
                map_y[y, first + n] = v + step_v * np.float32(n)


@njit(cache=True, inline="always")
def _edge(x: float, y: float, constant: float) -> tuple[float, float, float]:
    """Solve x * X + y * Y + constant = 0 for X.

    Returns X at Y = 0, its slope over Y, and the sign of x: 1 if the expression is positive to the right of the line,
    -1 if to the left, 0 if X does not determine it.
    """
    if abs(x) <= 1e-9:
        return 0.0, 0.0, 0.0
    return -constant / x, -y / x, 1.0 if x > 0.0 else -1.0


@njit(cache=True, inline="always")
def _cut(low: float, high: float, edge: float, towards: float) -> tuple[float, float]:
    if towards > 0.0:
        return max(low, edge), high
    if towards < 0.0:
        return low, min(high, edge)
    return low, high


def far_to_near(triangles: NDArray[np.int32], depth: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the (M, 3) triangles in painting order, the farthest middle first. depth: the vertices' depths, (N,)."""
    middle = depth[triangles[:, 0]] + depth[triangles[:, 1]] + depth[triangles[:, 2]]
    return triangles[np.argsort(-middle)]


@njit(cache=True)
def lay_over_background(person: NDArray[np.uint8], background: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Add the background to `out` where the person is transparent.

    person: (H, W, 4) uint8 premultiplied RGBA. background: (H, W, 3). out: already contains the person's colour.
    """
    height, width = background.shape[:2]
    for y in range(height):
        for x in range(width):
            through = np.int32(255) - np.int32(person[y, x, 3])
            if through != 0:
                for c in range(3):
                    value = np.int32(person[y, x, c]) + (through * np.int32(background[y, x, c]) + 127) // 255
                    out[y, x, c] = value if value < 255 else 255


@njit(cache=True)
def blend_covered(
    patch: NDArray[np.uint8], cover: NDArray[np.uint8], out: NDArray[np.uint8], left: int, top: int
) -> None:
    """Blend an (h, w, 3) uint8 patch into `out` at (left, top), weighted by cover, (h, w) uint8."""
    height, width = cover.shape
    for y in range(height):
        for x in range(width):
            a = np.int32(cover[y, x])
            if a:
                for c in range(3):
                    under = np.int32(out[top + y, left + x, c])
                    value = under * 255 + a * (np.int32(patch[y, x, c]) - under) + 127
                    out[top + y, left + x, c] = value // 255


def polygon_cover(ring: NDArray[np.float32], left: int, top: int, width: int, height: int) -> NDArray[np.uint8]:
    """Return the anti-aliased coverage of a polygon, (height, width) uint8, given as (N, 2) float32 pixels."""
    scale = 4  # drawn larger and averaged down: OpenCV's own anti-aliasing is a pixel too wide
    cover = np.zeros((height * scale, width * scale), np.uint8)
    corner = (ring - (left, top) + 0.5) * scale - 0.5
    cv2.fillPoly(cover, [np.round(corner * 16).astype(np.int32)], (255,), shift=4)
    return np.asarray(cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
