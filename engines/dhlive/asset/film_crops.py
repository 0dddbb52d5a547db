"""The film's face crops, frame by frame, and the transform from a crop to the ROI that the plate places."""

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.dhlive.asset.person import Person
from shared.avatar.model import ROI_SIZE_PX
from shared.avatar.plate import Plate
from shared.errors import StudioError
from shared.face import similarity
from shared.media.array_types import ImageArray
from shared.media.colour import crop, i420_to_rgb


def check_film(person: Person, plate: Plate, name: str) -> None:
    """Raise StudioError if `person` was measured in another film than this plate's. name: the avatar's name."""
    frames, right, bottom = len(plate), int(person.rects[:, 2].max()), int(person.rects[:, 3].max())
    if frames not in (len(person), 2 * len(person)) or right > plate.width or bottom > plate.height:
        raise StudioError(
            f"The mouth data of avatar '{name}' were measured in another film ({len(person)} frames, at least"
            f" {right}x{bottom} pixels; its body has {frames} of {plate.width}x{plate.height}); add the avatar again."
        )


def film_crop(plate: Plate, index: int, rect: NDArray[np.int64], side: int) -> ImageArray:
    """Return a plate frame's square, resized to (side, side, 3) uint8 RGB."""
    left, top, right, bottom = (int(value) for value in rect)
    x, y = left // 2 * 2, top // 2 * 2
    width, height = (right + 1) // 2 * 2 - x, (bottom + 1) // 2 * 2 - y
    rgb = i420_to_rgb(crop(plate.frame(index), x, y, width, height))[top - y : bottom - y, left - x : right - x]
    return np.asarray(cv2.resize(rgb, (side, side)), np.uint8)


def crop_to_roi(plate: Plate, index: int, rect: NDArray[np.int64], side: int) -> similarity.SimilarityMatrix:
    """Return the matrix, (2, 3), from crop pixels to ROI pixels."""
    scale = float(rect[2] - rect[0]) / side
    to_plate = np.array([[scale, 0.0, rect[0] + scale / 2 - 0.5], [0.0, scale, rect[1] + scale / 2 - 0.5]])
    return similarity.compose(similarity.invert(plate.placements[index]), to_plate)


def on_roi(rgb: ImageArray, edges: NDArray[np.uint8], to_roi: similarity.SimilarityMatrix) -> NDArray[np.uint8]:
    """Return the crop placed in the ROI and fading towards its edges, (512, 512, 4) uint8 RGBA."""
    rgba = np.dstack([rgb, edges])
    size = (ROI_SIZE_PX, ROI_SIZE_PX)
    colour = cv2.warpAffine(rgba, to_roi, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(colour, np.uint8)
