"""The two loops over pixels: triangles to a sampling map, and the person over the background."""

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

FAR = np.float32(1e9)


@njit(cache=True, fastmath=True)
def rasterise(
    moved: NDArray[np.float32],
    source: NDArray[np.float32],
    triangles: NDArray[np.int32],
    map_x: NDArray[np.float32],
    map_y: NDArray[np.float32],
    depth: NDArray[np.float32],
) -> None:
    """Write for every pixel where in the source it comes from.

    moved: (N, 3) float32 vertices in output pixels, z away from the viewer; source: (N, 2) float32
    the same vertices in the source. Triangles of positive area are drawn, nearest first by a depth
    buffer; the others show their back. map_x, map_y: (H, W) float32, left as they are where nothing is
    drawn; depth: (H, W) float32, to be filled with FAR by the caller.
    """
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, z0 = moved[i, 0], moved[i, 1], moved[i, 2]
        x1, y1, z1 = moved[j, 0] - x0, moved[j, 1] - y0, moved[j, 2] - z0
        x2, y2, z2 = moved[k, 0] - x0, moved[k, 1] - y0, moved[k, 2] - z0
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
        zx, zy = z1 * bx + z2 * cx, z1 * by + z2 * cy
        top = max(0, int(np.ceil(y0 + min(0.0, y1, y2) - 1e-3)))
        bottom = min(height - 1, int(np.floor(y0 + max(0.0, y1, y2) + 1e-3)))
        for y in range(top, bottom + 1):
            dy = y - y0
            low, high = -1e9, 1e9
            # each of the three weights is >= 0 between low and high
            for edge in range(3):
                if edge == 0:
                    slope, offset = bx, by * dy
                elif edge == 1:
                    slope, offset = cx, cy * dy
                else:
                    slope, offset = -bx - cx, 1.0 - (by + cy) * dy
                if slope > 1e-9:
                    low = max(low, -offset / slope)
                elif slope < -1e-9:
                    high = min(high, -offset / slope)
                elif offset < -1e-4:
                    high = -1e9
            first = max(0, int(np.ceil(low + x0 - 1e-3)))
            last = min(width - 1, int(np.floor(high + x0 + 1e-3)))
            along = np.float32(first - x0)
            z, u, v = (
                np.float32(z0 + zx * along + zy * dy),
                np.float32(u0 + ux * along + uy * dy),
                np.float32(v0 + vx * along + vy * dy),
            )
            step_z, step_u, step_v = np.float32(zx), np.float32(ux), np.float32(vx)
            for x in range(first, last + 1):
                if z < depth[y, x]:
                    depth[y, x] = z
                    map_x[y, x] = u
                    map_y[y, x] = v
                z += step_z
                u += step_u
                v += step_v


@njit(cache=True)
def over(person: NDArray[np.uint8], background: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Put the person over the background: (H, W, 4) uint8 premultiplied RGBA over (H, W, 3) into out."""
    height, width = background.shape[:2]
    for y in range(height):
        for x in range(width):
            through = np.int32(255) - np.int32(person[y, x, 3])
            if through == 0:
                out[y, x, 0] = person[y, x, 0]
                out[y, x, 1] = person[y, x, 1]
                out[y, x, 2] = person[y, x, 2]
            else:
                for c in range(3):
                    value = np.int32(person[y, x, c]) + (through * np.int32(background[y, x, c]) + 127) // 255
                    out[y, x, c] = min(value, 255)


@njit(cache=True)
def blend(patch: NDArray[np.uint8], cover: NDArray[np.uint8], out: NDArray[np.uint8], left: int, top: int) -> None:
    """Lay an (h, w, 3) uint8 patch over out at (left, top), as far as cover (h, w) uint8 says."""
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
    """(height, width) uint8 coverage of a polygon given as (N, 2) float32 pixels, anti-aliased."""
    scale = 4  # drawn larger and averaged down: OpenCV's own anti-aliasing is a pixel too fat
    cover = np.zeros((height * scale, width * scale), np.uint8)
    corner = (ring - (left, top) + 0.5) * scale - 0.5
    cv2.fillPoly(cover, [np.round(corner * 16).astype(np.int32)], (255,), shift=4)
    return np.asarray(cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
