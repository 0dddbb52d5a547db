"""Converts coded RGB values of HDR and wide-gamut films to sRGB, by the formulas of the standards.

Coded values become linear light relative to reference white; highlights are rolled off, primaries converted, and light
becomes coded values again. Films with a standard transfer function are decoded by the curve of sRGB, which stills use
and by which browsers show BT.709, so that a portrait and a body film of the same host have the same values.
"""

from typing import NamedTuple

import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

Light = NDArray[np.float64]

REFERENCE_WHITE_CD = 203.0  # cd/m2 of white paper and graphics in HDR (ITU-R BT.2408-7, 2.1); the white of SDR
HLG_PEAK_CD = 1000.0  # cd/m2, peak of the display for which HLG is defined (ITU-R BT.2100-2, table 5, note 5f)
PEAK = 1000.0 / REFERENCE_WHITE_CD  # light that becomes 1, relative to reference white; brighter light is clipped
KNEE = 0.94  # coded value above which highlights are rolled off, as cameras do

BT709 = ColorPrimaries.BT709


class WideColour(NamedTuple):
    """Colour coding of an HDR or wide-gamut film.

    transfer, primaries: transfer function and primaries, at least one of which differs from standard films.
    """

    transfer: ColorTrc
    primaries: ColorPrimaries


# CIE 1931 x and y of red, green, blue and white: ITU-R BT.709-6, BT.2020-2; SMPTE RP 431-2, EG 432-1; BT.470-6 System
# M.
_D65 = (0.3127, 0.3290)
_CHROMATICITIES = {
    ColorPrimaries.BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    ColorPrimaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    ColorPrimaries.SMPTE431: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    ColorPrimaries.SMPTE432: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    ColorPrimaries.BT470M: ((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), (0.310, 0.316)),
}
WIDE_PRIMARIES = frozenset(_CHROMATICITIES) - {BT709}
# Bradford's cone responses (Lam 1985, as in ICC.1:2022, annex E), for the adaptation of another white point to D65.
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_srgb(coded: Light, colour: WideColour) -> Light:
    """Convert (..., 3) coded RGB to sRGB, both 0 to 1. Colours out of gamut are clipped (ITU-R BT.2407, annex 2)."""
    light = light_of(coded, colour.transfer, colour.primaries)
    if colour.transfer in HDR:
        light = _rolled_off(light)
    return srgb_code(light @ primaries_matrix(colour.primaries).T).clip(0.0, 1.0)


def light_of(coded: Light, transfer: ColorTrc, primaries: ColorPrimaries) -> Light:
    """Convert (..., 3) coded RGB to linear light on the display, 1 for reference white."""
    if transfer == ColorTrc.SMPTE2084:
        return pq_cd(coded) / REFERENCE_WHITE_CD
    if transfer == ColorTrc.ARIB_STD_B67:
        return hlg_cd(coded, primaries) / REFERENCE_WHITE_CD
    if transfer == ColorTrc.LINEAR:
        return coded
    if transfer == ColorTrc.GAMMA28:
        return np.asarray(np.power(coded, 2.8))
    if transfer == ColorTrc.SMPTE428:
        return np.power(coded, 2.6) * (52.37 / 48.0)
    return np.where(coded <= 0.04045, coded / 12.92, np.power((coded + 0.055) / 1.055, 2.4))


HDR = frozenset((ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67))
OTHER_TRANSFERS = HDR | {ColorTrc.LINEAR, ColorTrc.GAMMA28, ColorTrc.SMPTE428}


def pq_cd(coded: Light) -> Light:
    """Convert PQ values, 0 to 1, to luminance in cd/m2 (ITU-R BT.2100-2, table 4: the EOTF)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = np.power(coded, 1 / m2)
    return 10_000.0 * np.power(np.maximum(root - c1, 0.0) / (c2 - c3 * root), 1 / m1)


def hlg_cd(coded: Light, primaries: ColorPrimaries = ColorPrimaries.BT2020) -> Light:
    """Convert (..., 3) HLG values, 0 to 1, to luminance in cd/m2 on a display of 1000 cd/m2.

    ITU-R BT.2100-2, table 5: inverse OETF and OOTF.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(coded <= 0.5, coded * coded / 3, (np.exp((coded - c) / a) + b) / 12)
    weights = _to_xyz(primaries)[1]
    luma = np.maximum(scene @ weights, 0.0)[..., None]
    return np.asarray(HLG_PEAK_CD * np.power(luma, 0.2) * scene)


def srgb_code(light: Light) -> Light:
    """Convert linear light to sRGB's coded values (IEC 61966-2-1); values above 1 are allowed."""
    positive = np.maximum(light, 0.0)
    return np.where(positive <= 0.0031308, positive * 12.92, 1.055 * np.power(positive, 1 / 2.4) - 0.055)


def _rolled_off(light: Light) -> Light:
    """Compress highlights up to PEAK to at most 1 and keep their hue.

    All three channels are multiplied by the same factor, which depends on the largest channel. Values below the knee
    do not change; above it the curve of Reinhard et al. (2002, equation 4) is applied to coded values.
    """
    largest = light.max(axis=-1, keepdims=True)
    code, room = srgb_code(largest), 1.0 - KNEE
    over = np.clip((code - KNEE) / room, 0.0, None)
    top = (float(srgb_code(np.array(PEAK))) - KNEE) / room
    rolled = KNEE + room * np.minimum(over * (1 + over / top**2) / (1 + over), 1.0)
    wanted = light_of(rolled, ColorTrc.IEC61966_2_1, BT709)
    return np.where(code > KNEE, light * wanted / np.maximum(largest, 1e-9), light)


def primaries_matrix(primaries: ColorPrimaries) -> Light:
    """Return the (3, 3) matrix from linear light in these primaries to BT.709, white to white (SMPTE RP 177)."""
    white = np.array(_xyz(_CHROMATICITIES[primaries][3]))
    adapted = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _xyz(_D65)) / (_BRADFORD @ white)) @ _BRADFORD
    return np.asarray(np.linalg.inv(_to_xyz(BT709)) @ adapted @ _to_xyz(primaries))


def _to_xyz(primaries: ColorPrimaries) -> Light:
    """(3, 3) from linear light to CIE XYZ."""
    *colours, white = (_xyz(xy) for xy in _CHROMATICITIES[primaries])
    columns = np.array(colours).T
    return np.asarray(columns * np.linalg.solve(columns, white))


def _xyz(xy: tuple[float, float]) -> Light:
    x, y = xy
    return np.array([x / y, 1.0, (1.0 - x - y) / y])
