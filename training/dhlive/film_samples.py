"""Training samples from a film.

They are the film's mouths, each with its lips painted over, and other mouths of the same person.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.dhlive.asset.film import crop_rects
from engines.dhlive.asset.references import INNER, LOWER, LOWER_LIP, OUTER, UPPER, UPPER_LIP, lip_map
from engines.dhlive.generation import Generation
from shared.errors import StudioError
from shared.face.finder import FaceFinder
from shared.media.array_types import ImageArray
from shared.media.reader import VideoReader

GEOMETRY = Generation.MINI2.geometry
SKIN = (194, 150, 124)  # RGB that fills a reference outside the open mouth
HUE, CONTRAST = 15, 0.2  # colour variation: hue in OpenCV's units of 2 degrees, contrast as a share
LEAST_FRAMES = 8


@dataclass(frozen=True, slots=True)
class FilmSamples:
    """Samples of a film from which the network learns.

    crops: (N, 184, 184, 3) uint8 RGB. points: (N, 478, 2) float32, the face in each crop.
    """

    crops: ImageArray
    points: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.crops)

    @classmethod
    def of_film(cls, film: Path, most: int) -> "FilmSamples":
        """Return samples of the first frames with a face, at most `most`. Raises StudioError if there are too few."""
        images: list[ImageArray] = []
        faces: list[NDArray[np.float32]] = []
        finder = FaceFinder()
        with VideoReader(film) as video:
            for _, image in video:
                if len(images) == most:
                    break
                if (face := finder.track(image)) is not None:
                    images.append(image)
                    faces.append(face.points)
        if len(images) < LEAST_FRAMES:
            raise StudioError(
                f"{film} shows a face in only {len(images)} frames, but {LEAST_FRAMES} are needed; use a longer film."
            )
        height, width = images[0].shape[:2]
        points = np.array(faces, np.float64)
        rects = crop_rects(points, width, height, film.name)
        side = int(rects[0, 2] - rects[0, 0])
        cut = [
            image[top : top + side, left : left + side] for image, (left, top, *_) in zip(images, rects, strict=True)
        ]
        crops = np.array([cv2.resize(each, (GEOMETRY.crop, GEOMETRY.crop)) for each in cut], np.uint8)
        placed = (points[..., :2] - rects[:, None, :2]) * (GEOMETRY.crop / side)
        return cls(crops, placed.astype(np.float32))

    def open_mouths(self) -> NDArray[np.int64]:
        """Return the half of the frames whose mouths are open furthest."""
        gaps = np.linalg.norm(self.points[:, INNER[5]] - self.points[:, INNER[-5]], axis=1)
        return np.argsort(gaps)[len(gaps) // 2 :]

    def batch(self, numbers: NDArray[np.int64], chance: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, 3, 80, 112) sources, (B, 12, 80, 112) references, (B, 3, 80, 112) targets, 0..1, of these frames.

        Colours are varied, equally for a frame and its references.
        """
        open_ones = self.open_mouths()
        rows = []
        for number in numbers:
            hue, contrast = int(chance.integers(-HUE, HUE + 1)), float(chance.uniform(1 - CONTRAST, 1 + CONTRAST))
            target = varied(self.crops[number], hue, contrast)
            others = [int(chance.integers(len(self))), *(int(chance.choice(open_ones)) for _ in range(2))]
            references = [self._reference(other, hue, contrast, only_mouth=k > 0) for k, other in enumerate(others)]
            rows.append((painted(target, self.points[number]), np.concatenate(references, axis=2), target))
        return tuple(_planes([row[k] for row in rows]) for k in range(3))

    def _reference(self, number: int, hue: int, contrast: float, *, only_mouth: bool) -> ImageArray:
        """Return a reference, (184, 184, 4): a frame, or its open mouth alone, and the map of its lips."""
        image, points = varied(self.crops[number], hue, contrast), self.points[number]
        if only_mouth:
            mouth = np.zeros(image.shape[:2], np.uint8)
            cv2.fillPoly(mouth, [points[INNER].astype(np.int32)], (1,))
            image = np.where(mouth[..., None] == 1, image, np.array(SKIN, np.uint8))
        return np.dstack([image, lip_map(points.astype(np.float64), GEOMETRY.crop)])


def painted(image: ImageArray, points: NDArray[np.float32]) -> ImageArray:
    """Return the frame with a dark mouth and lips in the control image's colours."""
    source = image.copy()
    for lips, colour in ((OUTER, (0, 0, 0)), (UPPER_LIP, (UPPER, 0, 0)), (LOWER_LIP, (LOWER, 0, 0))):
        cv2.fillPoly(source, [points[lips].astype(np.int32)], colour)
    return source


def varied(image: ImageArray, hue: int, contrast: float) -> ImageArray:
    """Return the image with shifted hues and with its contrast changed around middle grey."""
    turned = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    turned[..., 0] = (turned[..., 0].astype(np.int16) + hue) % 180
    rgb = cv2.cvtColor(turned, cv2.COLOR_HSV2RGB).astype(np.float32)
    return np.asarray(np.clip((rgb - 128) * contrast + 128, 0, 255), np.uint8)


def _planes(images: list[ImageArray]) -> Tensor:
    (left, top), (width, height) = GEOMETRY.corner, GEOMETRY.window
    window = np.stack(images)[:, top : top + height, left : left + width]
    return torch.from_numpy(np.ascontiguousarray(window.transpose(0, 3, 1, 2))).float() / 255
