"""Clips built from a film, with labels that tell what each frame shows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.film.changed_faces import opened_mouth, speech_gap, turned_head
from shared.avatar.film.report import Kind
from shared.avatar.samples import sample_portrait
from shared.errors import StudioError
from shared.face.finder import FaceFinder
from shared.face.landmarks import OVAL, SURFACE, Face
from shared.media.array_types import ImageArray
from shared.media.reader import VideoReader

FRAMES, MAX_SIDE_PX = 60, 1080
PART = range(22, 42)  # frames of a clip that are changed
COVERED_SHARE = 0.1  # of the face's oval that a cover hides
PLACES = {"forehead": 151, "left_cheek": 280, "right_cheek": 50, "mouth": 14, "eye": 159}
MICROPHONE = (30, 30, 34)
HAND = 0.72  # factor on the levels of the face's skin
BLUR = 0.025  # of the face's size, the standard deviation
PASSING = 0.2  # share of the host's face that is hidden from which on the person in front of it must be found
FPS = 25.0
CLOSED = 0.04  # largest opening of closed lips, in eye distances
AWAY_DEGREES, TURNING = 60.0, 12  # how far a head turns away, and in how many frames
Label = Kind | Literal["cut"]


@dataclass(frozen=True, slots=True)
class BuiltClip:
    """A clip built from frames, and what must be found in it.

    images: (H, W, 3) uint8 RGB. kinds: labels that count as found. truth: frames in which one of them must be found.
    open: frames in which one of them may or may not be found.
    """

    name: str
    images: list[ImageArray]
    kinds: tuple[Label, ...]
    truth: frozenset[int]
    open: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Base:
    """A film's first frames, as they are, and the face in each."""

    images: list[ImageArray]
    faces: list[Face]


def base_of(film: Path) -> Base:
    """Return a film's first 60 frames. Raises StudioError if there are fewer, or one of them shows no face."""
    finder, images, faces = FaceFinder(), list[ImageArray](), list[Face]()
    with VideoReader(film, max_side=MAX_SIDE_PX) as reader:
        for _, rgb in reader:
            face = finder.track(rgb)
            if face is None:
                raise StudioError(
                    f"{film.name} has no face in frame {len(images)}; use a film that shows one throughout."
                )
            images.append(np.array(rgb))
            faces.append(face)
            if len(images) == FRAMES:
                return Base(images, faces)
    raise StudioError(f"{film.name} has {len(images)} frames; use a film of at least {FRAMES}.")


def clips(base: Base) -> Iterator[BuiltClip]:
    """Yield a clip as it was filmed, and one or more of each kind."""
    images, faces = base.images, base.faces
    yield BuiltClip("plain", images, ("cut", "absent", "other_person", "covered", "blurred"), frozenset())
    yield _cut(images, faces)
    for name, gone in (("gone", _gone), ("away", _away)):
        yield BuiltClip(f"empty_{name}", _changed(base, gone), ("absent",), frozenset(PART))
    yield BuiltClip("blur", _changed(base, _blurred), ("blurred",), frozenset(PART))
    for place, point in PLACES.items():
        for name, colour in (("microphone", MICROPHONE), ("hand", None)):
            covered = _changed(base, partial(_covered, at=point, colour=colour))
            yield BuiltClip(f"cover_{place}_{name}", covered, ("covered", "absent"), frozenset(PART))
    yield _crossing(images, faces)
    if (
        max(face.mouth_opening for face in faces) < CLOSED
    ):  # a host who smiles with the teeth has an open mouth throughout
        yield talking(base)
    yield turning(base)


def talking(base: Base) -> BuiltClip:
    """Return a clip of lips that are closed, speak, and close again."""
    shown = [
        opened_mouth(image, face, speech_gap((number - PART.start + 1) / FPS)) if number in PART else image
        for number, (image, face) in enumerate(zip(base.images, base.faces, strict=True))
    ]
    return BuiltClip("talk", shown, ("talking",), frozenset(PART))


def turning(base: Base) -> BuiltClip:
    """Return a clip of a head that turns away and back; in between it may count as turned away or not."""
    number = np.arange(len(base.images))
    away = np.clip(np.minimum(number - PART.start + TURNING, PART.stop - 1 - number + TURNING) / TURNING, 0, 1)
    shown = [
        turned_head(image, face, AWAY_DEGREES * float(share)) if share > 0 else image
        for image, face, share in zip(base.images, base.faces, away, strict=True)
    ]
    on_the_way = frozenset(np.flatnonzero((away > 0) & (away < 1)).tolist())
    return BuiltClip("turn", shown, ("turned_away",), frozenset(PART), on_the_way)


def _changed(base: Base, change: Callable[[ImageArray, Face], ImageArray]) -> list[ImageArray]:
    return [
        change(image, face) if number in PART else image
        for number, (image, face) in enumerate(zip(base.images, base.faces, strict=True))
    ]


def _blurred(image: ImageArray, face: Face) -> ImageArray:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR * face.size), np.uint8)


def _cut(images: list[ImageArray], faces: list[Face]) -> BuiltClip:
    height, width = images[0].shape[:2]
    middle = faces[0].middle
    closer = np.column_stack([np.eye(2) * 1.35, np.array([width / 2, height * 0.4]) - 1.35 * middle])
    shown = [
        np.asarray(cv2.warpAffine(image, closer, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
        if number in PART else image
        for number, image in enumerate(images)
    ]  # fmt: skip
    return BuiltClip("cut", shown, ("cut",), frozenset({PART.start, PART.stop}))


def _gone(image: ImageArray, face: Face) -> ImageArray:
    """Paint over the head with the mean colour around it; leave everything else."""
    left, top, right, bottom = face.box
    centre, axes = (round((left + right) / 2), round(top + 0.4 * (bottom - top))), (
        round(0.75 * (right - left)), round(0.85 * (bottom - top)),
    )  # fmt: skip
    ring = np.zeros(image.shape[:2], np.uint8)
    cv2.ellipse(ring, centre, axes, 0, 0, 360, (255,), 12)
    out = image.copy()
    cv2.ellipse(out, centre, axes, 0, 0, 360, tuple(float(v) for v in cv2.mean(image, ring)[:3]), -1)
    return out


def _away(image: ImageArray, face: Face) -> ImageArray:
    """Return the wall behind, without the host."""
    wall = image[:8, :8].mean(axis=(0, 1))
    grain = np.random.default_rng(int(face.size * 1000)).normal(0, 2, image.shape)
    return np.asarray(np.clip(wall + grain, 0, 255), np.uint8)


def _oval_area(face: Face) -> float:
    return float(cv2.contourArea(cv2.convexHull(face.points[OVAL, :2].astype(np.float32))))


def _covered(image: ImageArray, face: Face, at: int, colour: tuple[int, int, int] | None) -> ImageArray:
    """Cover a tenth of the face with a disc. colour: RGB, or None for the colour of a hand."""
    radius = float(np.sqrt(COVERED_SHARE * _oval_area(face) / np.pi))
    x, y = _inside(face, at, radius)
    rows, columns = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    share = np.clip(radius + 0.5 - np.hypot(columns - x, rows - y), 0, 1)[..., None]
    tone: NDArray[np.float64] = np.array(colour if colour else HAND * _skin(image, face), np.float64)
    grain = np.random.default_rng(round(x * 100)).normal(0, 3, image.shape)
    return np.asarray(np.clip(image * (1 - share) + (tone + grain) * share, 0, 255), np.uint8)


def _inside(face: Face, at: int, radius: float) -> tuple[float, float]:
    """Return the centre of a disc near a point of the face, moved to the middle until the whole disc is on the face."""
    hull = cv2.convexHull(face.points[OVAL, :2].astype(np.float32))
    middle, point = face.points[OVAL, :2].mean(axis=0), face.points[at, :2]
    for share in np.linspace(0, 1, 21):
        x, y = (float(value) for value in point + share * (middle - point))
        if cv2.pointPolygonTest(hull, (x, y), True) >= radius:
            break
    return x, y


def _skin(image: ImageArray, face: Face) -> NDArray[np.float64]:
    x, y = np.rint(face.points[[50, 280, 151], :2]).astype(int).T
    return np.asarray(
        np.median(image[y.clip(0, image.shape[0] - 1), x.clip(0, image.shape[1] - 1)], axis=0), np.float64
    )


def _crossing(images: list[ImageArray], faces: list[Face]) -> BuiltClip:
    """Another person's head and shoulders pass in front of the host, from right to left."""
    cut = sample_portrait()[0:700, 150:750]
    scale = 1.6 * faces[0].size / 260  # the sample's face is about 260 pixels high
    other = np.asarray(cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = images[0].shape[:2]
    tall, wide = other.shape[:2]
    middle = faces[0].middle
    top = round(float(middle[1]) - 0.45 * tall)
    truth, vague, shown = set(), set(), []
    for number, image in enumerate(images):
        left = round(width - (width + wide) * (number - 5) / (FRAMES - 10))
        out = image.copy()
        x, y = max(0, left), max(0, top)
        right, bottom = min(width, left + wide), min(height, top + tall)
        if right > x and bottom > y:
            out[y:bottom, x:right] = other[y - top : bottom - top, x - left : right - left]
        share = _hidden(faces[number], (x, y, right, bottom))
        if share >= PASSING:
            truth.add(number)
        elif share > 0:
            vague.add(number)
        shown.append(out)
    return BuiltClip("cross", shown, ("other_person", "covered", "absent"), frozenset(truth), frozenset(vague))


def _hidden(face: Face, box: tuple[int, int, int, int]) -> float:
    """Share of a face's points inside a box."""
    x, y = face.points[:SURFACE, 0], face.points[:SURFACE, 1]
    return float(((x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])).mean())
