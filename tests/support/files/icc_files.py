"""Colour profiles in the smallest form that ICC.1 allows.

Matrix and gamma for RGB, a curve for grey, a small table for CMYK.
"""

import struct
from itertools import product

import numpy as np
from numpy.typing import NDArray

Primaries = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

DISPLAY_P3: tuple[Primaries, float] = (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), 2.2)
ADOBE_RGB: tuple[Primaries, float] = (((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)), 563 / 256)
_D65, _D50 = np.array([0.9505, 1.0, 1.0890]), np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def rgb_profile(primaries: Primaries, gamma: float) -> bytes:
    columns = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in primaries]).T
    matrix = columns * np.linalg.solve(columns, _D65)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ _D65)) @ _BRADFORD @ matrix
    tags = {b"wtpt": _xyz(_D50)}
    for at, name in enumerate((b"r", b"g", b"b")):
        tags[name + b"XYZ"], tags[name + b"TRC"] = _xyz(adapted[:, at]), _curve(gamma)
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": _xyz(_D50), b"kTRC": _curve(gamma)})


def cmyk_profile() -> bytes:
    """Return the profile of a printer with pale inks: a third of cyan absorbs hardly any red."""
    steps = 9
    grid = np.linspace(0, 1, steps)
    to_lab = b"".join(_lab16(_ink_lab(np.array(cmyk))) for cmyk in product(grid, repeat=4))
    from_lab = b"".join(
        _ink16(_ink_of(np.array([light * 100, a * 255 - 128, b * 255 - 128])))
        for light, a, b in product(np.linspace(0, 1, 17), repeat=3)
    )
    tags = {b"wtpt": _xyz(_D50), b"A2B0": _table(4, 3, steps, to_lab), b"B2A0": _table(3, 4, 17, from_lab)}
    return _profile(b"prtr", b"CMYK", b"Lab ", tags)


def _ink_lab(cmyk: NDArray[np.float64]) -> NDArray[np.float64]:
    c, m, y, k = cmyk
    linear = (1 - np.array([c, m, y]) ** 1.6) ** 2.2 * (1 - k) ** 2.2
    return _lab_of(linear)


def _ink_of(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.clip(_linear_of(lab), 0, 1)
    return np.array([*((1 - linear ** (1 / 2.2)) ** (1 / 1.6)), 0.0])


_SRGB_D50 = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])


def _lab_of(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    f = (lambda t: np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116))(_SRGB_D50 @ linear / _D50)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _linear_of(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    y = (lab[0] + 16) / 116
    f = np.array([y + lab[1] / 500, y, y - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f**3, (116 * f - 16) * 27 / 24389) * _D50
    return np.asarray(np.linalg.solve(_SRGB_D50, xyz))


def _lab16(lab: NDArray[np.float64]) -> bytes:
    light, a, b = lab
    return struct.pack(
        ">3H", *(int(np.clip(v, 0, 65535)) for v in (light / 100 * 65280, (a + 128) * 256, (b + 128) * 256))
    )


def _ink16(ink: NDArray[np.float64]) -> bytes:
    return struct.pack(">4H", *(int(round(v * 65535)) for v in ink))


def _table(inputs: int, outputs: int, steps: int, values: bytes) -> bytes:
    header = b"mft2" + bytes(4) + struct.pack(">4B", inputs, outputs, steps, 0)
    header += struct.pack(">9i", *(65536 if at % 4 == 0 else 0 for at in range(9))) + struct.pack(">2H", 2, 2)
    line = struct.pack(">2H", 0, 65535)
    return header + line * inputs + values + line * outputs


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(v) * 65536) for v in values))


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(78)
    tags = {b"desc": text, **tags}
    at, index, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        index += name + struct.pack(">2I", at + len(body), len(data))
        body += data
    size = at + len(body)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, kind, space, connection)
    header += (
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
        + b"acsp"
        + bytes(28)
        + struct.pack(">3i", *(round(float(v) * 65536) for v in _D50))
    )
    return header + bytes(128 - len(header)) + struct.pack(">I", len(tags)) + index + body
