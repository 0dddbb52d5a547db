"""Builds an avatar's folder from a portrait, a body, or both, completely or not at all."""

import dataclasses
import datetime
import importlib.metadata
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.film.build import FilmSpan
from shared.avatar.film.report import SHEET, FilmReport
from shared.avatar.film.sheet import draw_sheet
from shared.avatar.film.track import STABLE
from shared.avatar.manifest import (
    SCHEMA,
    AvatarManifest,
    PlateFacts,
    PortraitFacts,
    RoiFacts,
    Sources,
    check_rights,
)
from shared.avatar.mask import own_mask
from shared.avatar.model import BUILDING, ROI_SIZE_PX, avatar_folder
from shared.avatar.plate_build import (
    FollowedBody,
    PlateMeasures,
    build_own_plate,
    follow_body,
    place_on_body,
    read_upright,
)
from shared.errors import StudioError
from shared.face import similarity
from shared.face.finder import FaceFinder
from shared.face.landmarks import POINTS, Face
from shared.face.mouth_seen import mouth_notes
from shared.face.tracker import MIN_FACE_PX, FaceTracker
from shared.face.upright import MOST_ROLL
from shared.media.array_types import ImageArray
from shared.media.image_file import write_pixels
from shared.media.intake.refusal import check_file
from shared.media.intake.signature import is_still_image, kept_suffix
from shared.runtime.files import path_text
from shared.runtime.progress import StageProgress

MAX_PORTRAIT_PX = 2048
ROI_OF_FACE = 1.9  # side of the ROI as a multiple of the face's size
THUMB_PX = 256
MOST_FACES = 64
COUNTED = 3  # levels of tiles that are searched for further faces besides those that the tracker finds
ABANDONED_S = 3600


@dataclass(frozen=True, slots=True)
class FilmChoice:
    """A user's choices for a body's film; in `choose_again`, None keeps the earlier choice.

    still_s: time of the still in seconds, None for the best frame. exclude: (from, to) spans in seconds that are not
    shown. keep: whether to copy the source film into the avatar, for engines that read it. as_it_is: whether to play
    the whole film, with each frame unchanged.
    """

    still_s: float | None = None
    exclude: Sequence[FilmSpan] | None = None
    keep: bool = True
    as_it_is: bool = False


@dataclass(frozen=True, slots=True)
class _Portrait:
    image: ImageArray  # (H, W, 3) RGB, sides of at most 2048 pixels
    roi: ImageArray  # (512, 512, 3) RGB
    face: Face  # in ROI pixels
    to_roi: NDArray[np.float64]  # (2, 3), from `image`
    notes: tuple[str, ...]
    alpha: ImageArray | None = None  # (H, W) uint8, of `image`; None if opaque


def add_avatar(
    home: Path,
    name: str,
    portrait: Path | None,
    body: Path | None,
    rights: str,
    progress: StageProgress = lambda stage, done: None,
    *,
    film: FilmChoice = FilmChoice(),
) -> Path:
    """Build the folder `home/avatars/<name>` and return its path.

    portrait: an image with a face of at least 96 pixels (of several the largest is used, which the manifest notes);
        None to use a frame of the body, which must then be a video. body: an image or video (its first 600 s) on which
        the face is placed; None for the portrait itself.
    rights: statement of the rights to use the images.
    progress: called with a stage ("portrait", "plate", "done") and its share done, 0 to 1.
    film: choices for a body that is a video.
    Raises StudioError, with no files left behind, if the name is taken or an input cannot be used.
    """
    if portrait is None and (body is None or is_still_image(body)):
        raise StudioError(
            "An avatar needs a portrait, or a video as its body; an image of the host is given as the portrait."
        )
    check_rights(rights)
    if body is not None:
        check_file(body, "an image or a video")
    folder = avatar_folder(home, name)
    if folder.exists():
        raise StudioError(_name_taken_error(name))
    unfinished = begin_folder(folder)
    try:
        _fill(unfinished, name, portrait, body, rights, progress, film)
        unfinished.chmod(0o700)
        unfinished.rename(folder)  # fails if another process has finished the same name meanwhile
    except OSError as error:
        taken = folder.exists()
        raise StudioError(
            _name_taken_error(name)
            if taken
            else f"Avatar '{name}' cannot be written ({error.strerror}); free some space, or make "
            f"{folder.parent} writable."
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    progress("done", 1.0)
    return folder


def begin_folder(folder: Path) -> Path:
    """Create an unfinished folder beside `folder`, to be renamed to it later. Raises StudioError."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        return Path(tempfile.mkdtemp(prefix=f"{BUILDING}{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise StudioError(
            f"{folder.parent} cannot be written ({error.strerror}); free some space, or make {folder.parent} writable."
        ) from None


def _fill(
    folder: Path,
    name: str,
    portrait: Path | None,
    body: Path | None,
    rights: str,
    progress: StageProgress,
    choice: FilmChoice,
) -> None:
    read = None
    if portrait is not None:
        progress("portrait", 0.0)
        rgb, alpha, notes = read_upright(portrait)
        read = read_portrait(rgb, path_text(Path(portrait.name)), alpha=alpha)
        read = dataclasses.replace(read, notes=(*notes, *read.notes))
        progress("portrait", 1.0)
    if body is None:
        assert read is not None
        plate = build_own_plate(folder, read.image, read.to_roi, read.alpha)
        _write_files(folder, read, read.roi, own_mask(), [])
        _manifest(name, portrait, body, rights, read, plate).save(folder)
        return
    followed = follow_body(
        folder, body, progress, exclude=choice.exclude or (), still_s=choice.still_s, as_it_is=choice.as_it_is
    )
    kept = _keep_film(folder, body) if choice.keep and followed.kind == "video" else {}
    fill_with_body(folder, name, portrait, body, rights, read, followed, kept)


def fill_with_body(
    folder: Path,
    name: str,
    portrait: Path | None,
    body: Path,
    rights: str,
    read: _Portrait | None,
    followed: FollowedBody,
    kept: dict[str, str | int],
) -> None:
    """Write everything but the plate's frames, which exist already. read: None to use the film's still as portrait."""
    if read is None:
        read = _portrait_of_film(followed, path_text(Path(body.name)))
    plate, roi, mask, bodies = place_on_body(folder, followed, read.roi, read.face)
    if followed.kind == "video":
        report = followed.film.report.model_copy(update=kept)
        report.save(folder)
        write_pixels(folder / SHEET, draw_sheet(report, followed.frame)[..., ::-1])
        plate = dataclasses.replace(plate, notes=(*plate.notes, *_kept_note(report)))
    _write_files(folder, read, roi, mask, bodies)
    _manifest(name, portrait, body, rights, read, plate).save(folder)


def _write_files(folder: Path, read: _Portrait, roi: ImageArray, mask: NDArray[np.uint8], bodies: list[Face]) -> None:
    """Write an avatar's images and points. bodies: some of the plate's own faces, in ROI pixels."""
    np.savez(
        folder / "face.npz",
        points=read.face.points,
        portrait_to_roi=read.to_roi,
        bodies=np.array([face.points for face in bodies], np.float32).reshape(-1, POINTS, 3),
    )
    write_pixels(folder / "portrait.png", read.image[..., ::-1])
    write_pixels(folder / "roi.png", roi[..., ::-1])
    write_pixels(folder / "mask.png", mask)
    write_pixels(folder / "thumb.jpg", _shrunk(read.image, THUMB_PX)[0][..., ::-1])


def _portrait_of_film(followed: FollowedBody, name: str) -> _Portrait:
    number = followed.film.report.still
    seen = followed.film.track.faces[number]
    assert seen is not None
    read = read_portrait(followed.frame(number), name, near=seen.stable.mean(axis=0))
    seconds = number / followed.fps
    return dataclasses.replace(read, notes=(f"The portrait is the frame of {name} at {seconds:.2f} s.", *read.notes))


def _keep_film(folder: Path, body: Path) -> dict[str, str | int]:
    """Copy the source film into the avatar, and return the report's fields for it."""
    kept = f"film{kept_suffix(body)}"
    shutil.copyfile(body, folder / kept)
    return {"kept": kept, "kept_bytes": (folder / kept).stat().st_size}


def _kept_note(report: FilmReport) -> tuple[str, ...]:
    if not report.kept:
        return ()
    return (f"The source film is kept with the avatar ({report.kept_bytes / 1e6:.1f} MB), for engines that read it.",)


def _manifest(
    name: str, portrait: Path | None, body: Path | None, rights: str, read: _Portrait, plate: PlateMeasures
) -> AvatarManifest:
    height, width = read.image.shape[:2]
    return AvatarManifest(
        schema=SCHEMA,
        name=name,
        rights=rights,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        own_plate=body is None,
        rest=(round(plate.rest[0], 3), round(plate.rest[1], 3)),
        sources=Sources(
            portrait=path_text(Path(portrait.name)) if portrait else "",
            body=path_text(Path(body.name)) if body else None,
        ),
        versions={
            "studio": _version("persona-studio"),
            "litert": _version("ai-edge-litert"),
            "opencv": cv2.__version__,
        },
        portrait=PortraitFacts(width=width, height=height),
        roi=RoiFacts(size=ROI_SIZE_PX, face=round(read.face.size, 2), relit=body is not None),
        plate=PlateFacts(width=plate.width, height=plate.height, fps=plate.fps, frames=plate.frames, kind=plate.kind),
        notes=(*read.notes, *plate.notes),
    )


def read_portrait(
    original: ImageArray, name: str, near: NDArray[np.float32] | None = None, alpha: ImageArray | None = None
) -> _Portrait:
    """Return the portrait in an image. Raises StudioError if there is no usable face.

    name: the image's name, for sentences. near: (2,) position in pixels of the face to use instead of the largest; that
    face may be small, because a film has no better frame. alpha: the image's alpha, (H, W) uint8, None if it is opaque.
    """
    faces = _find_faces(original)
    if not faces:
        raise StudioError(f"No face was found in {name}; use a portrait that shows one face from the front.")
    if near is not None:
        faces = [min(faces, key=lambda face: float(np.linalg.norm(face.points[STABLE, :2].mean(axis=0) - near)))]
    face = faces[0]
    notes: list[str] = []
    if face.size < MIN_FACE_PX:
        small_face = f"The face in {name} is only {face.size:.0f} pixels high"
        if near is None:
            raise StudioError(f"{small_face}; use an image where it has {MIN_FACE_PX} or more.")
        notes.append(f"{small_face}; engines that animate a portrait show it soft, unless you give a portrait as well.")
    if len(faces) > 1:
        which = "largest" if near is None else "followed one"
        notes.append(f"{name} shows {len(faces)} faces; the {which} was taken.")
    if near is None and abs(face.pose.roll) > MOST_ROLL:
        raise StudioError(
            f"The face in {name} is tilted by {abs(face.pose.roll):.0f} degrees; rotate the image upright."
        )
    notes += mouth_notes(original, face, name)
    image, resized = _shrunk(original, MAX_PORTRAIT_PX)
    # The ROI is cut from the original, so that a small face in a large photograph keeps its resolution.
    roi, original_to_roi = _crop_roi(original, face)
    to_roi = similarity.compose(original_to_roi, similarity.invert(resized))
    small = None if alpha is None else _shrunk(alpha, MAX_PORTRAIT_PX)[0]
    return _Portrait(image, roi, face.moved(original_to_roi), to_roi, tuple(notes), small)


def _find_faces(rgb: ImageArray) -> list[Face]:
    """All faces, largest first, each measured in a close-up, so that small faces are precise too."""
    small, resized = _shrunk(rgb, 1280)
    tracker, finder = FaceTracker(still=True, max_faces=MOST_FACES), FaceFinder()
    enlarge = similarity.invert(resized)
    boxes = [face.moved(enlarge).box for face in tracker.faces(small)]
    # The tracker finds near faces most reliably; faces further back are searched for in tiles.
    boxes += [
        (box[0] / resized[0, 0], box[1] / resized[1, 1], box[2] / resized[0, 0], box[3] / resized[1, 1])
        for box in finder.search(small, levels=COUNTED) or ([] if boxes else finder.search(small))
    ]
    found = [face for box in boxes if (face := finder.face_near(rgb, box)) is not None]
    found = _distinct(sorted(found, key=lambda face: -face.size))
    return [finder.measure(rgb, face) if face is found[0] else face for face in found]


def _distinct(faces: list[Face]) -> list[Face]:
    kept: list[Face] = []
    for face in faces:
        centre = face.middle
        if all(np.linalg.norm(centre - other.middle) > 0.5 * other.size for other in kept):
            kept.append(face)
    return kept


def _crop_roi(rgb: ImageArray, face: Face) -> tuple[ImageArray, NDArray[np.float64]]:
    """The axis-aligned square around a face, 1.9 times its size, and the matrix from image pixels to it.

    The image is mirrored where the square extends beyond it.
    """
    left, top, right, bottom = face.box
    side = face.size * ROI_OF_FACE
    scale = ROI_SIZE_PX / side
    half = (ROI_SIZE_PX - 1) / 2
    matrix = np.array(
        [[scale, 0.0, half - scale * (left + right) / 2], [0.0, scale, half - scale * (top + bottom) / 2]]
    )
    source, to_crop = rgb, matrix
    if scale < 1.0:  # reduce by averaging to the wanted scale first, or fine hair would alias
        height, width = rgb.shape[:2]
        target = max(1, round(width * scale)), max(1, round(height * scale))
        source = np.asarray(cv2.resize(rgb, target, interpolation=cv2.INTER_AREA), np.uint8)
        shrink = similarity.resize_matrix(target[0] / width, target[1] / height)
        linear = np.diag([matrix[0, 0] / shrink[0, 0], matrix[1, 1] / shrink[1, 1]])
        to_crop = np.column_stack([linear, matrix[:, 2] - linear @ shrink[:, 2]])
    roi = cv2.warpAffine(
        source, to_crop, (ROI_SIZE_PX, ROI_SIZE_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(roi, np.uint8), matrix


def _shrunk(rgb: ImageArray, side: int) -> tuple[ImageArray, NDArray[np.float64]]:
    """The image reduced to a longer side of at most `side`, and the matrix from its pixels to the result's."""
    height, width = rgb.shape[:2]
    if max(height, width) <= side:
        return rgb, similarity.resize_matrix(1.0, 1.0)
    scale = side / max(height, width)
    target = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(cv2.resize(rgb, target, interpolation=cv2.INTER_AREA), np.uint8)
    return small, similarity.resize_matrix(target[0] / width, target[1] / height)


def _sweep(folder: Path) -> None:
    """Remove the unfinished folders of killed processes."""
    for path in folder.glob(f"{BUILDING}*"):
        if time.time() - path.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)


def _name_taken_error(name: str) -> str:
    return f"There is already an avatar '{name}'; choose another name, or `studio avatar remove {name}` first."


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
