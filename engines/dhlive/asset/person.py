"""A filmed person in the published format `combined_data.json.gz`: reading, checking and writing."""

import gzip
import io
import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.dhlive.control.mesh import TRACKED, FaceMesh, mesh_lines, parse_mesh
from engines.dhlive.generation import Generation
from engines.dhlive.networks.sizes import FEATURES, STYLE
from shared.errors import StudioError
from shared.runtime.files import write_atomically

FILE = "combined_data.json.gz"
LUMINANCES = 16  # brightness values after the style in files of the second mini generation
MATRIX = 16  # numbers per frame before its landmarks
MAX_BYTES = 64 << 20  # unpacked; published files have half a megabyte
GENERATIONS = {
    STYLE: Generation.MINI2,
    STYLE + LUMINANCES: Generation.MINI2,
    int(np.prod(FEATURES)): Generation.MINI1,
}  # generation by the length of a person's reference


@dataclass(frozen=True, slots=True)
class Person:
    """Measurements of a person in a film of N frames.

    uid: a name. mesh: the person's face mesh at rest. reference: (64,), (80,) or (6480,) float64 that identify the
        person to the network. rects: (N, 4) int64 left, top, right, bottom of the square face crop, in the film's
        pixels. matrices: (N, 4, 4) float64 from canonical space to crop pixels. landmarks: (N, 209, 2) float64 of the
        face in crop pixels. version: the file's version; None in the first mini generation. authorized: a vendor's
        mark, preserved unchanged.
    """

    uid: str
    mesh: FaceMesh
    reference: NDArray[np.float64]
    rects: NDArray[np.int64]
    matrices: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    version: int | None = 1
    authorized: bool = False

    @property
    def generation(self) -> Generation:
        """Generation of the network that the person was measured for."""
        return GENERATIONS[len(self.reference)]

    def __len__(self) -> int:
        return len(self.rects)

    def part(self, rows: list[int]) -> "Person":
        """Return the person with these frames only."""
        return replace(self, rects=self.rects[rows], matrices=self.matrices[rows], landmarks=self.landmarks[rows])

    def of_plate(self, index: int) -> int:
        """Return the person's frame for a plate frame: published films play the frames forward and then backward."""
        turn = index % (2 * len(self))
        return turn if turn < len(self) else 2 * len(self) - 1 - turn


def read_person(path: Path) -> Person:
    """Read a person from a file in the published format. Raises StudioError in one sentence for anything else."""
    try:
        with gzip.open(path) as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ValueError("it is far larger than any person")
        return _parsed(json.loads(raw), str(path))
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, RecursionError) as error:
        why = f"there is no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0][:120]
        raise StudioError(f"{path} is not a DH_live person ({why}); export it again where it was made.") from None


def _parsed(held: Any, where: str) -> Person:
    if not isinstance(held, dict):
        raise ValueError("it holds no table")
    frames = held["json_data"]
    if not isinstance(frames, list) or not frames or held["frame_num"] != len(frames):
        raise ValueError("its number of frames is not the one that it states")
    points = np.array([frame["points"] for frame in frames], np.float64)
    rects = np.array([frame["rect"] for frame in frames])
    reference = np.array(held["ref_data"], np.float64)
    if points.shape[1:] != (MATRIX + 2 * TRACKED,) or rects.shape[1:] != (4,) or rects.dtype.kind != "i":
        raise ValueError("its frames hold unexpected numbers")
    if reference.ndim != 1 or len(reference) not in GENERATIONS:
        raise ValueError(f"a person is {' or '.join(map(str, GENERATIONS))} numbers, not {reference.size}")
    sides = rects[:, 2:] - rects[:, :2]
    if sides.min() < 8 or sides.max() > 8192 or rects.min() < 0 or np.any(sides[:, 0] != sides[:, 1]):
        raise ValueError("its crops are not squares within a film")
    if not (np.isfinite(points).all() and np.isfinite(reference).all() and np.abs(points).max() < 1e5):
        raise ValueError("it holds values that are not numbers")
    size, generation = held.get("size"), GENERATIONS[len(reference)]
    if size is not None and size != generation.geometry.crop:
        raise ValueError(f"its crops are of {str(size)[:20]} pixels")
    return Person(
        uid=str(held["uid"]),
        mesh=parse_mesh(held["face3D_obj"], where),
        reference=reference,
        rects=rects.astype(np.int64),
        matrices=points[:, :MATRIX].reshape(-1, 4, 4).transpose(0, 2, 1).copy(),
        landmarks=points[:, MATRIX:].reshape(-1, TRACKED, 2),
        version=None if held.get("version") is None else int(held["version"]),
        authorized=bool(held.get("authorized", False)),
    )


def person_bytes(person: Person) -> bytes:
    """Serialise the person in the published format.

    Uncompressed, its defined fields equal those of the file that it was read from byte for byte.
    """
    matrices = person.matrices.transpose(0, 2, 1).reshape(-1, MATRIX)
    points = np.concatenate([matrices, person.landmarks.reshape(-1, 2 * TRACKED)], axis=1)
    held: dict[str, Any] = {
        "uid": person.uid,
        "frame_num": len(person),
        "face3D_obj": mesh_lines(person.mesh),
        "ref_data": person.reference.tolist(),
        "json_data": [
            {"rect": rect, "points": row} for rect, row in zip(person.rects.tolist(), points.tolist(), strict=True)
        ],
        "authorized": person.authorized,
    }
    if person.version is not None:
        held |= {"size": person.generation.geometry.crop, "version": person.version}
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as file:
        file.write(json.dumps(held).encode())
    return out.getvalue()


def write_person(path: Path, person: Person) -> None:
    """Write the person to a file, completely or not at all. Raises StudioError."""
    try:
        write_atomically(path, person_bytes(person), 0o644)
    except OSError as error:
        raise StudioError(f"{path} cannot be written ({error.strerror}); choose another place.") from None


def reprojection_px(person: Person) -> float:
    """Return the mean error of the placed mesh against the tracked landmarks, in crop pixels.

    The mean is taken over coordinates and frames.
    """
    vertices = np.column_stack([person.mesh.vertices[:TRACKED], np.ones(TRACKED)])
    placed = np.einsum("nij,vj->nvi", person.matrices, vertices)[..., :2]
    return float(np.abs(placed - person.landmarks).mean())
