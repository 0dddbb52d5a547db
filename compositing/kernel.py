"""The compositor's fused inner loop: blends an RGBA patch into I420 with colour matching, in integer arithmetic."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.avatar.skin import RGB_TO_YUV, YUV_BASE
from shared.compiled import njit

SHIFT = 14  # fixed point: four summed colours (10 bits), 14 bits of fraction and a gain of 1.6 fit 32 bits
OPAQUE = 256


def yuv_rows(gains: NDArray[np.floating[Any]], offsets: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return float64 rows that map (R, G, B, 1) to Y, U and V, (3, 4), including the colour match.

    gains, offsets: (3,), of a plate: out = gain * (v - 128) + 128 + offset.
    """
    gain = np.asarray(gains, np.float64)
    constant = gain * (YUV_BASE - 128.0) + 128.0 + np.asarray(offsets, np.float64)
    return np.column_stack([RGB_TO_YUV * gain[:, None], constant])


def coefficients(rows: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return `yuv_rows` in fixed point, (3, 4) int32, plus half a level for rounding."""
    return np.asarray(np.rint((rows + np.array([0.0, 0.0, 0.0, 0.5])) * (1 << SHIFT)), np.int32)


@njit(cache=True, nogil=True)
def blend_planes(
    luma: NDArray[np.uint8],
    chroma_u: NDArray[np.uint8],
    chroma_v: NDArray[np.uint8],
    patch: NDArray[np.uint32],
    opacity: np.int32,
    rows: NDArray[np.int32],
) -> None:
    """Blend a patch by its own alpha into views of the planes under it, in place.

    luma: (h, w) with h and w even; chroma_u, chroma_v: (h / 2, w / 2). patch: (h, w) uint32, RGBA in memory order on a
        little-endian machine; loading whole pixels lets the compiler use vector registers. opacity: 0 to 256. Chroma is
        the mean of four pixels, blended by the mean of their alphas.
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


@njit(cache=True, nogil=True)
def blend_held(
    luma: NDArray[np.uint8],
    chroma_u: NDArray[np.uint8],
    chroma_v: NDArray[np.uint8],
    patch: NDArray[np.uint32],
    opacity: np.int32,
    rows: NDArray[np.int32],
    field: NDArray[np.uint32],
    limits: NDArray[np.int32],
    held: NDArray[np.uint8],
) -> None:
    """Blend a patch like `blend_planes`, lit like the plate, and attenuated where it would change the plate's skin.

    field: (h, w) uint32, four bytes per pixel, see `compositing.light.Fit`. limits: (5,): the luma above which the
        excess is halved; the change of luma from which it is attenuated, and its slope in 256ths per level; the same
        two for the squared change of chroma, in 4096ths. held: (h / 2, w) uint8, work buffer.
    """
    height, width = patch.shape
    one, byte, half, all_, zero = np.int32(1), np.int32(255), np.int32(128), np.int32(256), np.int32(0)
    y_r, y_g, y_b, y_0 = rows[0, 0], rows[0, 1], rows[0, 2], rows[0, 3]
    u_r, u_g, u_b, u_0 = rows[1, 0], rows[1, 1], rows[1, 2], rows[1, 3] << 2
    v_r, v_g, v_b, v_0 = rows[2, 0], rows[2, 1], rows[2, 2], rows[2, 3] << 2
    knee = limits[0]
    luma_from, luma_slope, chroma_from, chroma_slope = limits[1], limits[2], limits[3], limits[4]
    # Every step is cast back to 32 bits; otherwise the compiler computes in 64 bits and without vector registers.
    for row in range(height >> 1):
        for column in range(width >> 1):
            left, right = column << 1, (column << 1) + one
            a, b = np.int32(patch[row << 1, left]), np.int32(patch[row << 1, right])
            c, d = np.int32(patch[(row << 1) + 1, left]), np.int32(patch[(row << 1) + 1, right])
            red = np.int32((a & byte) + (b & byte) + (c & byte) + (d & byte))
            green = np.int32(((a >> 8) & byte) + ((b >> 8) & byte) + ((c >> 8) & byte) + ((d >> 8) & byte))
            blue = np.int32(((a >> 16) & byte) + ((b >> 16) & byte) + ((c >> 16) & byte) + ((d >> 16) & byte))
            alpha = np.int32(((a >> 24) & byte) + ((b >> 24) & byte) + ((c >> 24) & byte) + ((d >> 24) & byte))
            alpha = np.int32((alpha * opacity + 2) >> 2)
            alpha = np.int32((alpha + (alpha >> 7) + 128) >> 8)
            light = np.int32(field[row << 1, left])
            hold = np.int32((light >> 24) & byte)
            u = np.int32(np.int32((u_r * red + u_g * green + u_b * blue + u_0) >> 16) + ((light >> 8) & byte) - half)
            v = np.int32(np.int32((v_r * red + v_g * green + v_b * blue + v_0) >> 16) + ((light >> 16) & byte) - half)
            u, v = min(max(u, np.int32(16)), np.int32(240)), min(max(v, np.int32(16)), np.int32(240))
            old_u, old_v = np.int32(chroma_u[row, column]), np.int32(chroma_v[row, column])
            by_u, by_v = np.int32(u - old_u), np.int32(v - old_v)
            change = min(np.int32(by_u * by_u + by_v * by_v), np.int32(4095))
            excess = np.int32(np.int32((change - chroma_from) * chroma_slope) >> 12)
            excess = np.int32(min(max(excess, zero), byte) * hold >> 8)
            held[row, left] = np.uint8(excess)
            held[row, right] = np.uint8(excess)
            y = np.int32(np.int32((y_r * red + y_g * green + y_b * blue + (y_0 << 2)) >> 16) - 16)
            y = np.int32(16 + np.int32((y * ((light & byte) + half) + half) >> 8))
            y = np.int32(y - (max(np.int32(y - knee), zero) >> 1))
            old_y = np.int32(np.int32(luma[row << 1, left]) + np.int32(luma[row << 1, right]))
            old_y = np.int32(old_y + np.int32(luma[(row << 1) + 1, left]) + np.int32(luma[(row << 1) + 1, right]))
            off = np.int32(abs(np.int32(y - ((old_y + 2) >> 2))) - luma_from)
            by_luma = np.int32(min(max(np.int32(np.int32(off * luma_slope) >> 8), zero), byte) * hold >> 8)
            excess = max(excess, by_luma)
            alpha = np.int32((alpha * np.int32(all_ - excess) + half) >> 8)
            chroma_u[row, column] = np.uint8(old_u + (np.int32(by_u * alpha + 128) >> 8))
            chroma_v[row, column] = np.uint8(old_v + (np.int32(by_v * alpha + 128) >> 8))
    for row in range(height):
        for column in range(width):
            pixel, light = np.int32(patch[row, column]), np.int32(field[row, column])
            alpha = np.int32(((pixel >> 24) & byte) * opacity)
            alpha = np.int32((alpha + (alpha >> 7) + 128) >> 8)  # 0..256
            value = np.int32(y_r * (pixel & byte) + y_g * ((pixel >> 8) & byte) + y_b * ((pixel >> 16) & byte))
            value = np.int32(np.int32((value + y_0) >> 14) - 16)
            value = np.int32(16 + np.int32(np.int32(value * np.int32((light & byte) + half) + half) >> 8))
            value = np.int32(value - (max(np.int32(value - knee), zero) >> 1))
            value = min(max(value, np.int32(16)), np.int32(235))
            old = np.int32(luma[row, column])
            off = np.int32(value - old)
            excess = np.int32(np.int32(np.int32(abs(off) - luma_from) * luma_slope) >> 8)
            excess = np.int32(min(max(excess, zero), byte) * np.int32((light >> 24) & byte) >> 8)
            excess = max(excess, np.int32(held[row >> 1, column]))
            alpha = np.int32(np.int32(alpha * np.int32(all_ - excess) + half) >> 8)
            luma[row, column] = np.uint8(old + (np.int32(off * alpha + 128) >> 8))
