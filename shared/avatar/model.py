"""The model of an avatar: a folder with a portrait, its plate, and measurements of both."""

import os
import re
import shutil
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.manifest import read_avatar_manifest
from shared.avatar.plate import Plate
from shared.errors import StudioError
from shared.face.landmarks import POINTS, Face
from shared.media.image_file import read_pixels
from shared.runtime.arrays import UNREADABLE_ARRAYS

ROI_SIZE_PX = 512
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
BUILDING = ".building-"  # prefix of unfinished folders, with which no avatar's name can begin


@dataclass(frozen=True, slots=True)
class Avatar:
    """An avatar loaded from its folder.

    rights: the user's statement of rights.
    roi: (512, 512, 3) uint8 RGB, the square face crop of the portrait; on a foreign body, in that body's light.
    face: the portrait's face in ROI pixels.
    mask: (512, 512) uint8, 255 where the ROI covers the plate. For a plate that is the portrait
        itself it is the whole ROI with a soft edge; for a foreign body it is the face alone,
        in its rest pose.
    own_plate: whether the plate is the portrait itself, so that hair and background around the face
        continue in it.
    rest: (yaw, pitch) in degrees by which the plate's face is turned relative to the portrait's; an
        engine adds it to every pose, so that the placed face looks in the same direction as its body.
    portrait_to_roi: (2, 3) float64, from portrait pixels to ROI pixels.
    body_faces: some of the plate's own faces in ROI pixels; empty for a portrait's own plate, and for an avatar of a
        release that did not store them.
    body_only: whether no portrait was given, so that the portrait is a frame of the body's film.
    """

    name: str
    folder: Path
    rights: str
    roi: NDArray[np.uint8]
    face: Face
    mask: NDArray[np.uint8]
    own_plate: bool
    rest: tuple[float, float]
    portrait_to_roi: NDArray[np.float64]
    plate: Plate
    body_faces: tuple[Face, ...] = ()
    body_only: bool = False

    def engine_file(self, engine: str, name: str) -> Path:
        """Return the path for an engine's measurements of this avatar; jobs include files of this form."""
        return self.folder / f"{engine}-{name}"


def check_name(name: str) -> str:
    """Return the name unchanged. Raises StudioError if it cannot name a folder on every system."""
    if not NAME.fullmatch(name):
        raise StudioError(
            f"'{name[:60]}' cannot name an avatar: use 1 to 40 of a-z, 0-9, '-' and '_', starting with a letter or "
            "digit."
        )
    return name


def avatars_folder(home: Path) -> Path:
    """Return the folder of a home's avatars."""
    return home / "avatars"


def avatar_folder(home: Path, name: str) -> Path:
    """Return the folder of one avatar, whether it exists or not. Raises StudioError for an invalid name."""
    return avatars_folder(home) / check_name(name)


def session_avatar_folder(home: Path, run_dir: Path, name: str) -> Path:
    """Return the folder of a session's avatar.

    This is an avatar made from the session's own portrait, which is stored beside the channel's sockets, or else one of
    the studio's. Raises StudioError for an invalid name.
    """
    own = avatar_folder(run_dir, name)
    return own if own.is_dir() else avatar_folder(home, name)


def load_avatar(folder: Path) -> Avatar:
    """Load an avatar from its folder. Raises StudioError if it is missing, damaged or of another version."""
    manifest = read_avatar_manifest(folder)
    try:
        with np.load(BytesIO((folder / "face.npz").read_bytes()), allow_pickle=False) as data:
            points = data["points"].astype(np.float32).reshape(POINTS, 3)
            portrait_to_roi = data["portrait_to_roi"].astype(np.float64).reshape(2, 3)
            bodies = np.zeros((0, POINTS, 3)) if "bodies" not in data else data["bodies"]
            body_faces = tuple(Face(each) for each in bodies.astype(np.float32).reshape(-1, POINTS, 3))
    except UNREADABLE_ARRAYS as error:
        raise StudioError(f"{folder / 'face.npz'} cannot be read ({error}); add the avatar again.") from error
    return Avatar(
        name=manifest.name,
        folder=folder,
        rights=manifest.rights,
        roi=np.ascontiguousarray(_image(folder / "roi.png", cv2.IMREAD_COLOR)[..., ::-1]),
        face=Face(points),
        mask=_image(folder / "mask.png", cv2.IMREAD_GRAYSCALE),
        own_plate=manifest.own_plate,
        rest=manifest.rest,
        portrait_to_roi=portrait_to_roi,
        plate=Plate.load(folder),
        body_faces=body_faces,
        body_only=not manifest.own_plate and not manifest.sources.portrait,
    )


def _image(path: Path, flag: int) -> NDArray[np.uint8]:
    image = read_pixels(path, flag)
    if image is None or image.shape[:2] != (ROI_SIZE_PX, ROI_SIZE_PX):
        raise StudioError(f"{path} is missing or damaged; add the avatar again.")
    return image


def list_avatars(home: Path) -> list[str]:
    """Return the sorted names of the finished avatars."""
    return sorted(path.parent.name for path in avatars_folder(home).glob("[!.]*/avatar.json"))


def remove_avatar(home: Path, name: str) -> None:
    """Delete an avatar. Raises StudioError when there is none of that name, or it cannot be removed."""
    folder = avatar_folder(home, name)
    if folder.is_symlink() or not folder.is_dir():
        raise StudioError(f"There is no avatar '{name}'; `studio avatar list` shows all avatars.")
    # Renamed first, so that a concurrent list of avatars shows a complete one or none.
    doomed = folder.with_name(f"{BUILDING}{name}-removed-{os.getpid()}-{time.monotonic_ns()}")
    try:
        folder.rename(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        raise StudioError(f"{folder} cannot be removed ({error.strerror}); make {folder.parent} writable.") from None
