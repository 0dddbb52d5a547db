"""The half-face mesh and its blend shapes, in the original's text and image formats.

267 vertices in canonical space, about 1000 units with y down: 0-208 tracked points of the face, 209 the forehead,
210-230 a ring around the face, 231-248 the upper teeth, 249-266 the lower teeth; 460 triangles.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.dhlive.networks.sizes import COEFFICIENTS
from shared.errors import StudioError
from shared.media.array_types import FloatArray

VERTICES, TRIANGLES, TRACKED = 267, 460, 209
UPPER_INNER, LOWER_INNER = 4, 5  # vertices in the middle of the inner lips
UPPER_LIP, LOWER_LIP, UPPER_TEETH, LOWER_TEETH, BORDER, BACK_WALL = 2.0, 2.01, 3.0, 4.0, -1.0, -2.0  # categories
NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class FaceMesh:
    """The canonical face.

    vertices: (267, 3) float64, canonical. categories: (267,) float64. triangles: (460, 3) int32, vertex numbers.
    """

    vertices: NDArray[np.float64]
    categories: NDArray[np.float64]
    triangles: NDArray[np.int32]


def parse_mesh(lines: Iterable[str], where: str) -> FaceMesh:
    """Parse a mesh from lines "v x y z category number" and "f a b c", with indices from 1.

    where: source of the lines, for the error sentence. Raises StudioError for anything else.
    """
    rows: dict[str, list[list[float]]] = {"v": [], "f": []}
    for line in lines:
        kind, *numbers = line.split() or [""]
        if kind not in rows:
            continue
        fields = [number.split("/")[0] for number in numbers]
        if not all(NUMBER.fullmatch(field) for field in fields) or len(fields) != (5 if kind == "v" else 3):
            raise StudioError(f"The mesh in {where} is damaged at '{line.strip()[:40]}'; use the authors' own file.")
        rows[kind].append([float(field) for field in fields])
    if (len(rows["v"]), len(rows["f"])) != (VERTICES, TRIANGLES):
        raise StudioError(
            f"The mesh in {where} has {len(rows['v'])} vertices and {len(rows['f'])} triangles instead of {VERTICES} "
            f"and {TRIANGLES}; use the authors' own file."
        )
    table, triangles = np.array(rows["v"]), np.array(rows["f"]).astype(np.int32) - 1
    numbered = np.array_equal(table[:, 4], np.arange(VERTICES))
    if not numbered or not np.isfinite(table).all() or triangles.min() < 0 or triangles.max() >= VERTICES:
        raise StudioError(f"The mesh in {where} contains wrong numbers; use the authors' own file.")
    return FaceMesh(table[:, :3].copy(), table[:, 3].copy(), triangles)


def mesh_lines(mesh: FaceMesh) -> list[str]:
    """Return a mesh as lines in the original's format: three decimals, two for the category."""
    vertices = [
        f"v {x:.3f} {y:.3f} {z:.3f} {category:.02f} {number}\n"
        for number, ((x, y, z), category) in enumerate(zip(mesh.vertices, mesh.categories, strict=True))
    ]
    return vertices + [f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in mesh.triangles]


def read_blend_shapes(path: Path) -> FloatArray:
    """Read the vertex offsets per unit of each coefficient, (6, 267, 3) float32.

    They are the first rows and columns of an image; a texel's value is rgb / 255 * 2 - 1. Raises StudioError.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[0] < COEFFICIENTS or image.shape[1] < TRACKED:
        raise StudioError(
            f"{path} is not a table of blend shapes; `studio weights add` takes it from the authors' own tree."
        )
    offsets = np.full((COEFFICIENTS, VERTICES, 3), -1.0, np.float32)  # texels beyond the table's width are 0, so -1
    texels = image[:COEFFICIENTS, :VERTICES, 2::-1].astype(np.float32) / 255 * 2 - 1
    offsets[:, : texels.shape[1]] = texels
    return offsets


def opening_of(offsets: FloatArray) -> FloatArray:
    """Return how much a unit of each coefficient changes the vertical distance between the inner lips, (6,), y down."""
    return np.asarray(offsets[:, UPPER_INNER, 1] - offsets[:, LOWER_INNER, 1], np.float32)
