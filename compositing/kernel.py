"""The fused loop under the compositor: an RGBA patch onto I420, colour-matched, in whole numbers."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from shared.avatar.skin import RGB_TO_YUV, YUV_BASE

SHIFT = 14  # fixed point: 10 bits of four summed colours, 14 of fraction and a gain of 1.6 fit 32 bits
OPAQUE = 256


def coefficients(gains: NDArray[np.floating[Any]], offsets: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    """(3, 4) int32 fixed-point rows that take (R, G, B, 1) to Y, U and V, the colour match folded in.

    gains, offsets: (3,), as a plate carries them: out = gain * (v - 128) + 128 + offset.
    """
    gain = np.asarray(gains, np.float64)
    constant = gain * (YUV_BASE - 128.0) + 128.0 + np.asarray(offsets, np.float64)
    rows = np.column_stack([RGB_TO_YUV * gain[:, None], constant + 0.5])  # the half rounds
    return np.asarray(np.rint(rows * (1 << SHIFT)), np.int32)


@njit(cache=True, nogil=True)
def blend_planes(
    luma: NDArray[np.uint8],
    chroma_u: NDArray[np.uint8],
    chroma_v: NDArray[np.uint8],
    patch: NDArray[np.uint32],
    opacity: np.int32,
    rows: NDArray[np.int32],
) -> None:
    """Blend a patch by its own alpha into views of the planes that it covers, in place.

    luma: (h, w) with h and w even; chroma_u, chroma_v: (h / 2, w / 2). patch: (h, w) uint32, RGBA in memory
    order on a little-endian machine: whole pixels in one load let the compiler use vector registers.
    opacity: 0 to 256. Chroma is the mean of four pixels, blended by the mean of their alphas.
    """
    height, width = patch.shape
    one, byte = np.int32(1), np.int32(255)
    y_r, y_g, y_b, y_0 = rows[0, 0], rows[0, 1], rows[0, 2], rows[0, 3]
    u_r, u_g, u_b, u_0 = rows[1, 0], rows[1, 1], rows[1, 2], rows[1, 3] << 2
    v_r, v_g, v_b, v_0 = rows[2, 0], rows[2, 1], rows[2, 2], rows[2, 3] << 2
    for row in range(height):
        for column in range(width):
            pixel = np.int32(patch[row, column])
            alpha = ((pixel >> 24) & byte) * opacity
            alpha = (alpha + (alpha >> 7) + 128) >> 8  # 0..256
            value = y_r * (pixel & byte) + y_g * ((pixel >> 8) & byte) + y_b * ((pixel >> 16) & byte)
            value = min(max((value + y_0) >> 14, np.int32(16)), np.int32(235))
            old = np.int32(luma[row, column])
            luma[row, column] = np.uint8(old + (((value - old) * alpha + 128) >> 8))
    for row in range(height >> 1):
        for column in range(width >> 1):
            left, right = column << 1, (column << 1) + one
            a, b = np.int32(patch[row << 1, left]), np.int32(patch[row << 1, right])
            c, d = np.int32(patch[(row << 1) + 1, left]), np.int32(patch[(row << 1) + 1, right])
            red = (a & byte) + (b & byte) + (c & byte) + (d & byte)
            green = ((a >> 8) & byte) + ((b >> 8) & byte) + ((c >> 8) & byte) + ((d >> 8) & byte)
            blue = ((a >> 16) & byte) + ((b >> 16) & byte) + ((c >> 16) & byte) + ((d >> 16) & byte)
            alpha = ((a >> 24) & byte) + ((b >> 24) & byte) + ((c >> 24) & byte) + ((d >> 24) & byte)
            alpha = (alpha * opacity + 2) >> 2
            alpha = (alpha + (alpha >> 7) + 128) >> 8
            u = min(max((u_r * red + u_g * green + u_b * blue + u_0) >> 16, np.int32(16)), np.int32(240))
            v = min(max((v_r * red + v_g * green + v_b * blue + v_0) >> 16, np.int32(16)), np.int32(240))
            old_u, old_v = np.int32(chroma_u[row, column]), np.int32(chroma_v[row, column])
            chroma_u[row, column] = np.uint8(old_u + (((u - old_u) * alpha + 128) >> 8))
            chroma_v[row, column] = np.uint8(old_v + (((v - old_v) * alpha + 128) >> 8))
