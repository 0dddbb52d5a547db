"""Films of a folder, cut into clips of one window each: frames around the face, and the points of the face."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.errors import StudioError
from shared.face.finder import FaceFinder
from shared.media.array_types import ImageArray
from shared.media.intake.signature import signature_of
from shared.media.reader import VideoReader, read_sound

LEAST_SEEN = 0.5  # share of a clip's frames that must show the face


@dataclass(frozen=True, slots=True)
class FilmClip:
    """Consecutive frames of a film.

    start: number of the first frame. frames: (n, h, w, 3) uint8 RGB. faces: (478, 2) float32 in pixels of these frames,
        None for a frame without a face.
    """

    film: Path
    start: int
    rate: Fraction
    frames: ImageArray
    faces: tuple[NDArray[np.float32] | None, ...]


def films_in(folder: Path) -> list[Path]:
    """Return the films of a folder, sorted by name. Raises StudioError if there are none."""
    films = sorted(each for each in folder.glob("*") if (signed := signature_of(each)) and signed.kind == "film")
    if not films:
        raise StudioError(f"{folder} holds no film; put films of a speaking person there.")
    return films


def clips_of(film: Path, count: int, size: tuple[int, int]) -> Iterator[FilmClip]:
    """Yield consecutive clips of `count` frames, except those with too few faces and an incomplete one at the end.

    size: width and height to which frames are cropped and scaled, keeping the aspect ratio. Raises StudioError for a
        film without sound.
    """
    if not any(len(block) for _, block in read_sound(film)):
        raise StudioError(f"{film} has no sound; take it out of the folder, or give it its speech.")
    with VideoReader(film) as video:
        finder, images, faces = FaceFinder(), list[ImageArray](), list[NDArray[np.float32] | None]()
        for number, (_, image) in enumerate(video):
            face = finder.track(image)
            images.append(image)
            faces.append(None if face is None else face.points[:, :2])
            if len(images) < count:
                continue
            if sum(each is not None for each in faces) >= LEAST_SEEN * count:
                start = number + 1 - count
                yield FilmClip(film, start, video.fps, *placed(images, faces, size))
            images, faces = [], []


def placed(
    images: list[ImageArray], faces: list[NDArray[np.float32] | None], size: tuple[int, int]
) -> tuple[ImageArray, tuple[NDArray[np.float32] | None, ...]]:
    """Return frames and points in the largest rectangle of the wanted shape around the face, the same in all frames."""
    height, width = images[0].shape[:2]
    scale = min(width / size[0], height / size[1])
    cut = round(size[0] * scale), round(size[1] * scale)
    centre = np.mean([each.mean(axis=0) for each in faces if each is not None], axis=0)
    left, top = (
        int(np.clip(round(float(at) - side / 2), 0, whole - side))
        for at, side, whole in zip(centre, cut, (width, height), strict=True)
    )
    filter_ = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    frames = [
        cv2.resize(image[top : top + cut[1], left : left + cut[0]], size, interpolation=filter_) for image in images
    ]
    factor = np.array((size[0] / cut[0], size[1] / cut[1]), np.float32)
    moved = (None if each is None else (each - (left, top)).astype(np.float32) * factor for each in faces)
    return np.array(frames, np.uint8), tuple(moved)
