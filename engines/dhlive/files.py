"""The engine's files other than its networks: reading and checking."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.dhlive.control.mesh import FaceMesh, parse_mesh, read_blend_shapes
from engines.dhlive.file_names import BLEND_SHAPES, EDGES, WINDOWS
from engines.dhlive.generation import Generation
from shared.errors import StudioError
from shared.media.array_types import FloatArray


@dataclass(frozen=True, slots=True)
class FaceFiles:
    """Files that drawing needs besides the networks.

    offsets: (6, 267, 3) float32. edges: (S, S) uint8. window: (h, w) uint8.
    """

    offsets: FloatArray
    edges: NDArray[np.uint8]
    window: NDArray[np.uint8]

    @classmethod
    def read(cls, files: dict[str, Path], generation: Generation) -> "FaceFiles":
        """Read the files that drawing needs besides the networks.

        files: by the manifest's names. Raises StudioError in one sentence.
        """
        geometry = generation.geometry
        edges = read_mask(present(files, EDGES), (geometry.crop, geometry.crop))
        window = read_mask(present(files, WINDOWS[generation]), geometry.window)
        return cls(read_blend_shapes(present(files, BLEND_SHAPES)), edges, window)


def present(files: dict[str, Path], name: str) -> Path:
    """Return the path of a file. Raises StudioError if the file is missing."""
    if name not in files:
        raise StudioError(f"{name} is missing; download it, then run `studio weights add dhlive FILE...`.")
    return files[name]


def read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read an image's first channel, (h, w) uint8, resized to this (width, height) as the original does."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise StudioError(f"{path} is not an image; add the authors' own with `studio weights add dhlive FILE...`.")
    return np.ascontiguousarray(cv2.resize(image, size)[..., 0], np.uint8)


def read_template(path: Path) -> FaceMesh:
    """Read the template mesh. Raises StudioError."""
    try:
        return parse_mesh(path.read_text(encoding="utf-8").splitlines(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise StudioError(f"{path} cannot be read ({error}); see `studio weights list`.") from None
