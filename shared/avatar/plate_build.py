"""Measuring a plate once: where the portrait's face goes in each frame, and in what light.

A plate is either the portrait itself (nothing to track, the placement undoes the crop) or a foreign
image or video whose face is tracked frame by frame.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from shared.avatar.manifest import PlateKind
from shared.avatar.mask import bound_mask
from shared.avatar.plate import save_index
from shared.avatar.relight import landmark_colours, relight
from shared.avatar.skin import SkinLight, light_transfer, measure_light, smooth_lights
from shared.errors import StudioError
from shared.face import similarity
from shared.face.finder import FaceFinder
from shared.face.landmarks import OVAL, RIGID, Face
from shared.face.rest_pose import rest_pose, turn_to_rest
from shared.media.array_types import ImageArray
from shared.media.reader import VideoReader
from shared.media.still import read_image
from shared.runtime.progress import StageProgress

MAX_SIDE_PX = 1920
MAX_PLATE_S = 60
STILL_FPS = 25.0
# Landmarks are a little off, in the same way in every frame; so many frames, so far apart, tell by how much.
PRECISE_EVERY, PRECISE_FRAMES = 10, 12
JPEG_QUALITY = 92
IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"))
# What decides where a face goes: points that neither speech nor a smile moves, and the oval down to the
# cheeks so that the width of the face counts. Lids and mouth are left out.
STABLE = np.unique(np.concatenate([RIGID, OVAL[:9], OVAL[-8:]]))


@dataclass(frozen=True, slots=True)
class PlateMeasures:
    """What the manifest says of a plate. rest: (yaw, pitch) degrees against the portrait; note: for the user."""

    width: int
    height: int
    fps: float
    frames: int
    kind: PlateKind
    rest: tuple[float, float]
    notes: tuple[str, ...]


def build_own_plate(folder: Path, portrait: ImageArray, portrait_to_roi: NDArray[np.float64]) -> PlateMeasures:
    """Write the plate of a portrait on its own image. portrait: (H, W, 3) uint8 RGB."""
    image, resized = fit_image(portrait)
    placement = similarity.compose(resized, similarity.invert(portrait_to_roi))
    with _Frames(folder) as frames:
        frames.add(image)
    height, width = image.shape[:2]
    _save(folder, (width, height), STILL_FPS, frames.sizes, placement[None], np.ones((1, 3)), np.zeros((1, 3)))
    return PlateMeasures(width, height, STILL_FPS, 1, "portrait", (0.0, 0.0), ())


def build_body_plate(
    folder: Path, body: Path, roi: ImageArray, roi_face: Face, progress: StageProgress
) -> tuple[PlateMeasures, ImageArray, NDArray[np.uint8]]:
    """Write the plate of a foreign body. roi: (512, 512, 3) uint8 RGB; roi_face: in ROI pixels.

    A frame without a face gets what lies between its neighbours' placements, at either end the nearest
    one. Returns what was measured, the ROI in the plate's light, and its mask. Raises StudioError when no
    frame shows a face or the file cannot be read to its end.
    """
    is_image = body.suffix.lower() in IMAGE_SUFFIXES
    fps, total, images = _open_image(body) if is_image else _open_video(body)
    seen, notes = _follow(folder, body.name, images, fps, lambda done: progress("plate", done / max(total, 1)))
    tracked = [face for face in seen.faces if face is not None]
    if not tracked:
        raise StudioError(f"No face was found in {body.name}; use a body whose face is at least about 40 pixels high.")
    if len(tracked) < len(seen.faces):
        missing = len(seen.faces) - len(tracked)
        notes.append(
            f"{missing} of {len(seen.faces)} frames show no face; there the nearest tracked placement is used."
        )
    rest = rest_pose(roi_face, tracked)
    shown = turn_to_rest(roi_face, rest)
    placements = place_faces(shown, seen.faces, fps, seen.precise)
    lights = smooth_lights(seen.lights, fps)
    lit = _relit(roi, roi_face, seen, lights)
    gains, offsets = light_transfer(measure_light(lit, roi_face), lights)
    _save(folder, seen.size, fps, seen.bytes, placements, gains, offsets, measure_openings(seen.faces))
    mask = bound_mask(shown, _plate_oval(seen.faces, placements))
    kind: PlateKind = "image" if is_image else "video"
    return PlateMeasures(*seen.size, fps, len(seen.faces), kind, rest, tuple(notes)), lit, mask


def _relit(roi: ImageArray, roi_face: Face, seen: "_Seen", lights: list[SkinLight]) -> ImageArray:
    luma = float(np.median([light.mean[0] for light in lights])) - 16.0
    if not np.isfinite(luma):
        return roi
    plate = np.median(np.array(seen.colours), axis=0)
    return relight(roi, roi_face, landmark_colours(roi, roi_face), plate, luma)


@dataclass(slots=True)
class _Seen:
    """What following a body yields, frame by frame. colours: of the frames with a face only. precise: of some."""

    faces: list[Face | None]
    lights: list[SkinLight | None]
    colours: list[NDArray[np.float32]]
    precise: dict[int, Face]
    size: tuple[int, int]
    bytes: list[int]


def _follow(
    folder: Path, name: str, images: Iterator[ImageArray], fps: float, progress: Callable[[int], None]
) -> tuple[_Seen, list[str]]:
    """Track the body's face and write its frames, at most 60 s of them, in one pass."""
    seen = _Seen([], [], [], {}, (0, 0), [])
    notes: list[str] = []
    finder = FaceFinder()
    with _Frames(folder) as frames:
        for number, image in enumerate(images):
            if number >= MAX_PLATE_S * fps:
                notes.append(f"{name} is longer than {MAX_PLATE_S} s; the plate ends there.")
                break
            frames.add(image)
            face = finder.track(image)
            seen.faces.append(face)
            seen.lights.append(None if face is None else measure_light(image, face))
            if face is not None:
                seen.colours.append(landmark_colours(image, face))
                if number % PRECISE_EVERY == 0 and len(seen.precise) < PRECISE_FRAMES:
                    seen.precise[number] = finder.measure(image, face)
            seen.size = image.shape[1], image.shape[0]
            progress(number + 1)
    seen.bytes = frames.sizes
    return seen, notes


def _plate_oval(faces: list[Face | None], placements: NDArray[np.float64]) -> NDArray[np.float64]:
    """(36, 2) the outline of the plate's face in ROI pixels, in the median."""
    pairs = zip(faces, placements, strict=True)
    ovals = [similarity.apply_similarity(similarity.invert(m), f.points[OVAL, :2]) for f, m in pairs if f is not None]
    return np.asarray(np.median(ovals, axis=0), np.float64)


def fit_image(image: ImageArray) -> tuple[ImageArray, NDArray[np.float64]]:
    """The image with even sides of at most 1920 pixels, and the (2, 3) matrix from its pixels to the result's."""
    height, width = image.shape[:2]
    scale = min(1.0, MAX_SIDE_PX / max(height, width))
    if scale == 1.0:  # one row or column less keeps the pixels as they are
        even = image[: max(2, height // 2 * 2), : max(2, width // 2 * 2)]
        return np.ascontiguousarray(even), similarity.resize_matrix(1.0, 1.0)
    target = max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
    small = cv2.resize(image, target, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), similarity.resize_matrix(target[0] / width, target[1] / height)


def place_faces(roi_face: Face, faces: list[Face | None], fps: float, precise: dict[int, Face]) -> NDArray[np.float64]:
    """(N, 2, 3) float64 placements of the ROI on the tracked faces, smoothed; gaps are bridged.

    precise: some of the faces, by frame, measured again with more care; their mean difference is put right in all.
    """
    source = roi_face.points[STABLE, :2].astype(np.float64)
    fitted = {number: _fit(source, face) for number, face in enumerate(faces) if face is not None}
    flat = np.array(list(fitted.values())).reshape(-1, 6)
    known, every = np.array(list(fitted)), np.arange(len(faces))
    # A similarity's matrix is linear in its four numbers, so entries may be interpolated and averaged one by one.
    bridged = np.stack([np.interp(every, known, flat[:, column]) for column in range(6)], axis=1)
    placements = similarity.smooth(bridged.reshape(-1, 2, 3), fps, source.mean(axis=0), roi_face.size / 2)
    off = [
        similarity.compose(similarity.invert(fitted[number]), _fit(source, face)) for number, face in precise.items()
    ]
    if not off:
        return placements
    mean = np.asarray(np.mean(off, axis=0), np.float64)
    return np.array([similarity.compose(placement, mean) for placement in placements])


def measure_openings(faces: list[Face | None]) -> NDArray[np.float32]:
    """(N, 3) `Face.opening_ratios` of each frame; gaps are bridged."""
    known = [number for number, face in enumerate(faces) if face is not None]
    found = np.array([face.opening_ratios for face in faces if face is not None])
    bridged = [np.interp(np.arange(len(faces)), known, column) for column in found.T]
    return np.asarray(np.stack(bridged, axis=1), np.float32)


def _fit(source: NDArray[np.float64], face: Face) -> NDArray[np.float64]:
    return similarity.fit(source, face.points[STABLE, :2])


def _open_image(body: Path) -> tuple[float, int, Iterator[ImageArray]]:
    return STILL_FPS, 1, iter([fit_image(read_image(body))[0]])


def _open_video(body: Path) -> tuple[float, int, Iterator[ImageArray]]:
    reader = VideoReader(body, max_side=MAX_SIDE_PX)
    fps = min(60.0, max(1.0, float(reader.fps)))
    seconds = min(reader.duration or MAX_PLATE_S, MAX_PLATE_S)
    return fps, round(seconds * fps), _regular(reader, fps)


def _regular(reader: VideoReader, fps: float) -> Iterator[ImageArray]:
    """A video's frames at a constant rate: the plate's clock counts frames, phones record unevenly."""
    with reader:
        shown: ImageArray | None = None
        number = 0
        for pts, rgb in reader:
            # Half a frame of tolerance, so that jitter in the time stamps repeats or drops nothing.
            while shown is not None and (number + 0.5) * 1_000_000 / fps <= pts:
                yield shown
                number += 1
            shown = fit_image(rgb)[0]
        if shown is not None:
            yield shown


class _Frames:
    """`plate.mjpg` while it is written."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "plate.mjpg"
        self.sizes: list[int] = []

    def __enter__(self) -> "_Frames":
        self._file = self._path.open("wb")
        return self

    def add(self, rgb: ImageArray) -> None:
        data = simplejpeg.encode_jpeg(rgb, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="420")
        self._file.write(data)
        self.sizes.append(len(data))

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _save(
    folder: Path,
    size: tuple[int, int],
    fps: float,
    sizes: list[int],
    placements: NDArray[np.float64],
    gains: NDArray[np.floating[Any]],
    offsets: NDArray[np.floating[Any]],
    openings: NDArray[np.float32] | None = None,
) -> None:
    save_index(
        folder,
        width=size[0],
        height=size[1],
        fps=fps,
        sizes=sizes,
        placements=placements,
        gains=gains.astype(np.float32),
        offsets=offsets.astype(np.float32),
        openings=openings,
    )
