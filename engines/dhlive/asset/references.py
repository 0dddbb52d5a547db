"""The images from which the network derives a person's style: the film's first face, lips marked, and an open mouth."""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engines.dhlive.asset.film_crops import film_crop
from engines.dhlive.asset.person import LUMINANCES
from engines.dhlive.file_names import MOUTHS, TEETH
from engines.dhlive.files import present
from engines.dhlive.generation import Generation
from engines.dhlive.networks.checkpoints import load_mouth
from engines.dhlive.networks.mini2 import Mini2Network
from shared.avatar.plate import Plate
from shared.errors import StudioError
from shared.media.array_types import ImageArray

INNER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
OUTER = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
LOWER_LIP = INNER[:11] + OUTER[:11][::-1]
UPPER_LIP = INNER[10:] + [INNER[0], OUTER[0]] + OUTER[10:][::-1]
UPPER, LOWER = 255, 127
GRID = 4  # squares per side whose brightness the published files record


def reference_of(
    plate: Plate, index: int, rect: NDArray[np.int64], face: NDArray[np.float64], files: dict[str, Path]
) -> NDArray[np.float64]:
    """Return a person's reference, (80,): the style, and sixteen brightnesses.

    face: (478, 3) in crop pixels. index: the plate frame's index. The open mouth is always the authors' first image,
        where the original chooses one at random, so the same film gives the same numbers. Raises StudioError.
    """
    geometry = Generation.MINI2.geometry
    image = film_crop(plate, index, rect, geometry.crop)
    (left, top), (width, height) = geometry.corner, geometry.window
    marked = np.dstack([image, lip_map(face, geometry.crop)])[top : top + height, left : left + width]
    mouth = open_mouth(present(files, TEETH[0]), geometry.window)
    references = np.concatenate([marked, mouth, mouth], axis=2)
    network = load_mouth(present(files, MOUTHS[Generation.MINI2]))[1]
    assert isinstance(network, Mini2Network)
    with torch.inference_mode():
        planes = torch.from_numpy(np.ascontiguousarray(references.transpose(2, 0, 1))).float() / 255
        style = network.style(planes[None])[0].numpy()
    return np.concatenate([style.astype(np.float64), brightnesses(image)])


def lip_map(face: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Return a map, (side, side) uint8: 255 on the upper lip, 127 on the lower lip, 0 elsewhere."""
    image = np.zeros((side, side), np.uint8)
    for points, value in ((UPPER_LIP, UPPER), (LOWER_LIP, LOWER)):
        cv2.fillPoly(image, [face[points, :2].astype(np.int32)], (value,))
    return image


def open_mouth(path: Path, size: tuple[int, int]) -> ImageArray:
    """Read an image of an open mouth, (h, w, 4) uint8 RGBA. Raises StudioError."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        raise StudioError(
            f"{path} is not an image of teeth; add the authors' own with `studio weights add dhlive FILE...`."
        )
    return np.asarray(cv2.cvtColor(cv2.resize(image, size), cv2.COLOR_BGRA2RGBA), np.uint8)


def brightnesses(rgb: ImageArray) -> NDArray[np.float64]:
    """Return the brightness, 0..1, of the squares of a 4x4 grid, (16,) row by row.

    The weights of red and blue are swapped, as in published files.
    """
    side = rgb.shape[0] // GRID
    blocks = rgb[: side * GRID, : side * GRID].reshape(GRID, side, GRID, side, 3).astype(np.float64)
    return np.asarray(np.round((blocks @ (0.114, 0.587, 0.299)).mean(axis=(1, 3))).reshape(LUMINANCES) / 255)
