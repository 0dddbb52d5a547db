"""Loop over pixels that draws moved triangles into a control image with a depth buffer, as a GPU would."""

import numpy as np
from numpy.typing import NDArray

from shared.compiled import njit

LOWER_LIP_RED = 128 / 255  # 0.5 in eight bits


@njit(cache=True)
def draw_control(
    points: NDArray[np.float64],
    warps: NDArray[np.float64],
    categories: NDArray[np.float64],
    triangles: NDArray[np.int32],
    offset: float,
    image: NDArray[np.float32],
    depth: NDArray[np.float64],
) -> None:
    """Draw the triangles, in their order, into an image that is cleared first.

    points: (N, 3) in crop pixels, x right, y down, z away from the viewer. warps: (N, 2) displacement of the face at
        each point, in halves of the crop. categories: (N,). offset: distance of a pixel's sample from its left and
        upper edge. image: (4, S, S) float32, RGBA 0..1, output. depth: (S, S) float64 work buffer.

    Only triangles of negative area (x right, y down) are drawn. Edges belong to both adjacent triangles. The nearest
    triangle wins, of equally near ones the first. Attributes, including the category, are interpolated linearly across
    a triangle, and the interpolated category determines how a pixel is drawn.
    """
    side = depth.shape[0]
    image[:3] = 0.5
    image[3] = 0.0
    depth[:] = np.inf
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0 = points[i, 0] - offset, points[i, 1] - offset
        x1, y1 = points[j, 0] - offset - x0, points[j, 1] - offset - y0
        x2, y2 = points[k, 0] - offset - x0, points[k, 1] - offset - y0
        area = x1 * y2 - x2 * y1
        if not area < 0.0:
            continue
        inverse = 1.0 / area
        # weights of the second and third corner, as planes over x and y
        bx, by, cx, cy = y2 * inverse, -x2 * inverse, -y1 * inverse, x1 * inverse
        left, right = max(0.0, np.ceil(x0 + min(0.0, x1, x2))), min(side - 1.0, np.floor(x0 + max(0.0, x1, x2)))
        top = max(0, int(np.ceil(y0 + min(0.0, y1, y2))))
        bottom = min(side - 1, int(np.floor(y0 + max(0.0, y1, y2))))
        z0, z1, z2 = points[i, 2], points[j, 2] - points[i, 2], points[k, 2] - points[i, 2]
        c0, c1, c2 = categories[i], categories[j] - categories[i], categories[k] - categories[i]
        u0, u1, u2 = warps[i, 0], warps[j, 0] - warps[i, 0], warps[k, 0] - warps[i, 0]
        v0, v1, v2 = warps[i, 1], warps[j, 1] - warps[i, 1], warps[k, 1] - warps[i, 1]
        for row in range(top, bottom + 1):
            dy = row - y0
            low, high = left, right
            low, high = _cut(low, high, x0, bx, by * dy)
            low, high = _cut(low, high, x0, cx, cy * dy)
            low, high = _cut(low, high, x0, -bx - cx, 1.0 - (by + cy) * dy)
            for column in range(int(low), int(high) + 1):
                dx = column - x0
                b, c = dx * bx + dy * by, dx * cx + dy * cy
                if b < 0.0 or c < 0.0 or b + c > 1.0:
                    continue
                z = z0 + b * z1 + c * z2
                if z >= depth[row, column]:
                    continue
                depth[row, column] = z
                category = c0 + b * c1 + c * c2
                red, green, blue = 0.0, 0.0, 0.0
                if category == 2.0:
                    red = 1.0
                elif 2.0 < category < 2.1:
                    red = LOWER_LIP_RED
                elif category == 3.0:
                    green = 1.0
                elif category == 4.0:
                    blue = 1.0
                elif not (3.0 < category < 4.0 or category == -2.0):
                    red = (u0 + b * u1 + c * u2 + 1.0) * 0.5
                    green = (v0 + b * v1 + c * v2 + 1.0) * 0.5
                    blue = 0.5
                image[0, row, column], image[1, row, column] = red, green
                image[2, row, column], image[3, row, column] = blue, 1.0


@njit(cache=True, inline="always")
def _cut(low: float, high: float, x0: float, slope: float, constant: float) -> tuple[float, float]:
    """Restrict columns to those where slope * (x - x0) + constant may be positive, plus one pixel at either end."""
    if slope > 1e-12:
        return max(low, np.floor(x0 - constant / slope)), high
    if slope < -1e-12:
        return low, min(high, np.ceil(x0 - constant / slope))
    return low, high
