"""Stand-ins for DH_live's files: a mesh, its blend shapes, masks and teeth in the published counts and ranges.

They contain none of the authors' data. The weights are computed from names (`harness.by_rule`) and draw noise.
"""

import pickle
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.dhlive.control.mesh import (
    BACK_WALL,
    BORDER,
    LOWER_INNER,
    LOWER_LIP,
    LOWER_TEETH,
    TRACKED,
    TRIANGLES,
    UPPER_INNER,
    UPPER_LIP,
    UPPER_TEETH,
    VERTICES,
    FaceMesh,
    mesh_lines,
)

POINTS = 478  # landmarks of a tracked face
LOUDNESS = 60.0  # factor on the audio network's last layer, so that the mouth moves as far as with trained weights
AROUND, UPPER = 20, 11  # vertices of each ring around the mouth, and how many of them belong to the upper lip
LIP_RINGS, FACE_RINGS = 4, 4
MIDDLE = np.array([500.0, 745.0])  # centre of the mouth in canonical space
OPENING = (-0.46, -0.49, -1.58, -0.69, 0.31, 0.60)  # per unit of a coefficient; negative parts the inner lips


def _ring(radius: float, height: float, depth: float) -> NDArray[np.float64]:
    """Return (20, 3) vertices of an ellipse around the mouth, beginning at the middle of the upper lip."""
    turn = 2 * np.pi * np.arange(AROUND) / AROUND - np.pi / 2
    x, y = radius * np.cos(turn), height * np.sin(turn)
    return np.column_stack([MIDDLE[0] + x, MIDDLE[1] + y, depth + 0.3 * np.abs(x)])


def _strip(top: float, bottom: float, depth: float) -> NDArray[np.float64]:
    """Return (18, 3) vertices of a row of teeth: nine columns of a top and a bottom edge."""
    x = np.repeat(np.linspace(430, 570, 9), 2)
    return np.column_stack([x, np.tile([top, bottom], 9), np.full(18, depth)])


def _between(inner: NDArray[np.int64], outer: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Return the triangles between two rings of vertices."""
    a, b, c, d = inner, np.roll(inner, -1), outer, np.roll(outer, -1)
    return [t for row in zip(a, b, c, d, strict=True) for t in ((row[0], row[1], row[2]), (row[1], row[3], row[2]))]


@cache
def stand_in_mesh() -> FaceMesh:
    """Return a mesh with the published counts: 267 vertices in their categories and 460 triangles."""
    rings = [_ring(95 + 12 * k, 3 + 12 * k, -190.0) for k in range(LIP_RINGS)]
    rings += [_ring(150 + 30 * k, 60 + 35 * k, -180.0 + 20 * k) for k in range(FACE_RINGS)]
    rings += [_ring(255, 190, -90.0), _ring(290, 225, -80.0)]
    lip = [UPPER_LIP if abs(n if n <= AROUND // 2 else n - AROUND) <= UPPER // 2 else LOWER_LIP for n in range(AROUND)]
    wall = np.column_stack([*(_ring(85, 45, -60.0)[:12].T[:2]), np.full(12, -60.0)])
    wall[:, :2] = MIDDLE + np.column_stack(
        [85 * np.cos(np.arange(12) * np.pi / 6), 45 * np.sin(np.arange(12) * np.pi / 6)]
    )
    spare = np.tile([500.0, 420.0, -100.0], (17, 1))  # vertices that no triangle uses
    parts = [
        *((ring, lip) for ring in rings[:LIP_RINGS]),
        *((ring, [0.0] * AROUND) for ring in rings[LIP_RINGS : LIP_RINGS + FACE_RINGS]),
        (spare[:14], [0.0] * 14), (wall, [BACK_WALL] * 12), (rings[-2], [BORDER] * AROUND), (spare[:3], [BORDER] * 3),
        (spare[:1], [BORDER]), (rings[-1], [BORDER] * AROUND), (spare[:1], [BORDER]),
        (_strip(728, 745, -150.0), [UPPER_TEETH] * 18), (_strip(738, 775, -145.0), [LOWER_TEETH] * 18),
    ]  # fmt: skip
    vertices = np.concatenate([points for points, _ in parts])
    categories = np.array([kind for _, kinds in parts for kind in kinds])
    numbers = np.arange(VERTICES)
    at = [numbers[AROUND * k : AROUND * (k + 1)] for k in range(LIP_RINGS + FACE_RINGS)] + [
        numbers[186:206],
        numbers[210:230],
    ]
    triangles = [t for inner, outer in pairwise(at) for t in _between(inner, outer)]
    triangles += [(174, 174 + k, 175 + k) for k in range(1, 11)]
    for first in (231, 249):
        triangles += [t for k in range(first, first + 16, 2) for t in ((k, k + 1, k + 2), (k + 2, k + 1, k + 3))]
    found = np.array(triangles, np.int64)
    found = np.where((_areas(vertices, found) > 0)[:, None], found[:, ::-1], found)  # areas of front faces are negative
    found = np.concatenate([found, found[: TRIANGLES - len(found), ::-1]])  # back faces, up to the published count
    order = numbers.copy()  # gives the middles of the inner lips the vertex numbers of the published mesh
    for number, place in ((UPPER_INNER, 0), (LOWER_INNER, AROUND // 2)):
        other = int(np.flatnonzero(order == place)[0])
        order[[number, other]] = order[[other, number]]
    renumbered = np.argsort(order)[found].astype(np.int32)
    return FaceMesh(np.round(vertices[order], 3), categories[order], renumbered)


def _areas(vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.float64]:
    a, b, c = (vertices[triangles[:, corner], :2] for corner in range(3))
    return np.asarray((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1]))


@cache
def stand_in_offsets() -> NDArray[np.float32]:
    """Return (6, 267, 3) blend shapes that part the lips, less with the distance from the mouth.

    Vertices that are not tracked have -1, the value of a zero pixel in the published image.
    """
    away = stand_in_mesh().vertices[:TRACKED, :2] - MIDDLE
    fades = np.exp(-((away / (140, 110)) ** 2).sum(axis=1))
    offsets = np.full((6, VERTICES, 3), -1.0)
    offsets[:, :TRACKED] = 0.0
    for shape, opening in enumerate(OPENING):
        lower = np.where(away[:, 1] > 0, 0.8, -0.2)
        offsets[shape, :TRACKED, 1] = -opening * lower * fades / 2
        offsets[shape, :TRACKED, 0] = 0.1 * np.sin(shape + away[:, 0] / 80) * fades
    offsets[2, UPPER_INNER, 1], offsets[2, LOWER_INNER, 1] = -0.7, 0.85
    return np.asarray(np.rint((offsets + 1) * 127.5) / 127.5 - 1, np.float32)


def write_blend_shapes(path: Path, offsets: NDArray[np.float32]) -> None:
    """Write blend shapes in the format of the published image: 16x256 RGBA, one row per shape."""
    image = np.full((16, 256, 4), 127, np.uint8)
    image[:6] = 0
    image[:6, :TRACKED, :3] = np.rint((offsets[:, :TRACKED] + 1) * 127.5)
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA))


def placement(side: int, yaw: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float64]:
    """Return the (4, 4) transform from canonical space to pixels of a crop with this side. yaw: degrees."""
    turn, scale = np.radians(yaw), 0.53 * side / 184
    matrix = np.eye(4)
    matrix[:3, :3] = scale * np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    middle = np.array([*MIDDLE, -150.0])
    matrix[:3, 3] = np.array([side / 2 + shift[0], side / 2 + shift[1], -100.0]) - matrix[:3, :3] @ middle
    return matrix


def landmarks_of(mesh: FaceMesh, matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the (209, 2) pixel positions of a resting face's vertices under a (4, 4) placement."""
    return np.asarray(mesh.vertices[:TRACKED] @ matrix[:2, :3].T + matrix[:2, 3], np.float32)


def mask(width: int, height: int, ramp: int) -> NDArray[np.uint8]:
    """Return a (height, width) uint8 mask that rises from 0 at the edge to 255 at `ramp` pixels inside."""
    across, down = (np.minimum(np.arange(n), np.arange(n)[::-1]) / ramp for n in (width, height))
    return np.asarray(np.minimum(np.minimum.outer(down, across), 1) * 255, np.uint8)


class MouthImages:
    """The attributes that a pickled scikit-learn PCA has: `mean_` (1350,) and `components_` (7, 1350)."""

    def __init__(self) -> None:
        chance = np.random.default_rng(6)
        self.mean_ = chance.uniform(60, 180, 1350)
        self.components_ = chance.normal(0, 0.03, (7, 1350))


def write_stand_ins(folder: Path) -> dict[str, Path]:
    """Write every file of the engine's manifest below `folder` and return their paths by name. Needs PyTorch."""
    import torch

    from engines.dhlive import file_names as files
    from engines.dhlive.generation import Generation
    from engines.dhlive.networks.audio import AudioNetwork
    from engines.dhlive.networks.checkpoints import NETWORKS
    from harness.by_rule import by_rule

    def path(name: str) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        return folder / name

    for generation, name in files.MOUTHS.items():
        network = by_rule(NETWORKS[generation](), generation.value)
        torch.save({"state_dict": {"net_g": network.state_dict()}}, path(name))
    for name in (files.AUDIO, files.OLD_AUDIO):
        network = by_rule(AudioNetwork(), "audio")
        with torch.no_grad():
            network.fc[-1].weight.mul_(LOUDNESS)
        torch.save(network.state_dict(), path(name))
    mesh = stand_in_mesh()
    path(files.TEMPLATE).write_text("".join(mesh_lines(mesh)), encoding="utf-8")
    mean = np.concatenate([mesh.vertices, mesh.vertices[: POINTS - VERTICES] + 1.0])
    path(files.MEAN_FACE).write_text("".join(f"v {x:.3f} {y:.3f} {z:.3f}\n" for x, y, z in mean), encoding="utf-8")
    others = [point for point in range(POINTS) if point not in (13, 14)]
    tracked = others[:UPPER_INNER] + [13, 14] + others[UPPER_INNER : TRACKED - 2]
    lists = f"index_wrap = {tracked}\nindex_wrap = index_wrap + [10]\nindex_edge_wrap = {list(range(60, 81))}\n"
    path(files.LISTS).write_text(lists, encoding="utf-8")
    write_blend_shapes(path(files.BLEND_SHAPES), stand_in_offsets())
    cv2.imwrite(str(path(files.EDGES)), mask(128, 128, 16))
    cv2.imwrite(str(path(files.WINDOWS[Generation.MINI2])), np.dstack([mask(104, 72, 8)] * 3))
    cv2.imwrite(str(path(files.WINDOWS[Generation.MINI1])), np.dstack([mask(72, 72, 8)] * 3))
    path(files.MOUTH_SHAPES).write_bytes(pickle.dumps(MouthImages(), protocol=4))
    for number, name in enumerate(files.TEETH):
        noise = np.random.default_rng(number).integers(0, 256, (72, 104, 4))
        cv2.imwrite(str(path(name)), noise.astype(np.uint8))
    names = (
        *files.MOUTHS.values(),
        files.AUDIO,
        files.OLD_AUDIO,
        files.MOUTH_SHAPES,
        files.TEMPLATE,
        files.MEAN_FACE,
        files.LISTS,
    )
    names += (files.BLEND_SHAPES, files.EDGES, *files.WINDOWS.values(), *files.TEETH)
    return {name: folder / name for name in names}
