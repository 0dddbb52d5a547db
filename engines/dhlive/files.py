"""The engine's files by the names that the manifest has for them."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.dhlive.control.mesh import FaceMesh, parse_mesh, read_blend_shapes
from engines.dhlive.generation import Generation
from shared.errors import StudioError
from shared.media.array_types import FloatArray

FOLDER = "dhlive"
MOUTHS = {
    Generation.MINI2: f"{FOLDER}/epoch_40_new.pth",
    Generation.MINI1: f"{FOLDER}/epoch_40.pth",
    Generation.OLD: f"{FOLDER}/render.pth",
}
AUDIO, OLD_AUDIO = f"{FOLDER}/lstm_model_epoch_325.pkl", f"{FOLDER}/audio.pkl"
MOUTH_SHAPES = f"{FOLDER}/pca.pkl"
TEMPLATE, MEAN_FACE, LISTS = (f"{FOLDER}/{name}" for name in ("face_wrap_entity.obj", "face3D.obj", "wrap_utils.py"))
BLEND_SHAPES, EDGES = f"{FOLDER}/bs_texture_halfFace.png", f"{FOLDER}/face_fusion_mask.png"
WINDOWS = {
    Generation.MINI2: f"{FOLDER}/mouth_fusion_mask.png",
    Generation.MINI1: f"{FOLDER}/mini1_mouth_fusion_mask.png",
}
TEETH = tuple(
    f"{FOLDER}/teeth_ref/{name}_0.png" for name in ("147_0", "18_0", "1_0", "275_0", "40_0", "813_0", "8_0", "92_0")
)


@dataclass(frozen=True, slots=True)
class FaceFiles:
    """What drawing takes beside the networks.

    offsets: (6, 267, 3) float32. edges: (S, S) uint8. window: (h, w) uint8.
    """

    offsets: FloatArray
    edges: NDArray[np.uint8]
    window: NDArray[np.uint8]

    @classmethod
    def read(cls, files: dict[str, Path], generation: Generation) -> "FaceFiles":
        """files: by the manifest's names. Raises StudioError in one sentence."""
        geometry = generation.geometry
        edges = read_mask(present(files, EDGES), (geometry.crop, geometry.crop))
        window = read_mask(present(files, WINDOWS[generation]), geometry.window)
        return cls(read_blend_shapes(present(files, BLEND_SHAPES)), edges, window)


def present(files: dict[str, Path], name: str) -> Path:
    """Where a file lies. Raises StudioError where it does not."""
    if name not in files:
        raise StudioError(f"{name} is missing; `studio weights add dhlive FILE...` takes it from what was downloaded.")
    return files[name]


def read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(h, w) uint8 of an image's first channel, brought to this (width, height) as the original does."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise StudioError(
            f"{path} is no image; `studio weights add dhlive FILE...` takes it from the authors' own tree."
        )
    return np.ascontiguousarray(cv2.resize(image, size)[..., 0], np.uint8)


def read_template(path: Path) -> FaceMesh:
    """The template mesh. Raises StudioError."""
    try:
        return parse_mesh(path.read_text().splitlines(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise StudioError(f"{path} cannot be read ({error}); see `studio weights list`.") from None
