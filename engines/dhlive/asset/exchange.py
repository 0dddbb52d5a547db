"""Published asset folders: import as an avatar, and export of an avatar."""

import tempfile
from pathlib import Path

import cv2
import numpy as np

from engines.api import RATE_FPS
from engines.dhlive.asset.film_crops import check_film
from engines.dhlive.asset.film_fitness import shown_frames
from engines.dhlive.asset.person import FILE, read_person, write_person
from shared.avatar.build import FilmChoice, add_avatar
from shared.avatar.model import Avatar, load_avatar, remove_avatar
from shared.errors import StudioError
from shared.media.array_types import ImageArray
from shared.media.colour import i420_to_rgb, rgb_to_i420
from shared.media.mp4 import Mp4Writer
from shared.media.reader import VideoReader

ENGINE = "dhlive"
VIDEO, THUMBNAIL, THUMBNAIL_PX = "01.mp4", "thumbnail.jpg", 480


def import_asset(folder: Path, home: Path, name: str, rights: str) -> Path:
    """Add the avatar `name` from an asset's folder, and return the avatar's folder.

    The film's first frame becomes the portrait. Raises StudioError in one sentence, leaving nothing behind, if the
    asset is damaged or does not match its film.
    """
    person = read_person(folder / FILE)
    if not (folder / VIDEO).is_file():
        raise StudioError(f"{folder} has no {VIDEO}; an asset is {FILE} with its video.")
    with tempfile.TemporaryDirectory(prefix="studio-asset-") as made:
        portrait = Path(made) / "portrait.png"
        with VideoReader(folder / VIDEO) as video:
            first = next((image for _, image in video), None)
        if first is None:
            raise StudioError(f"{folder / VIDEO} contains no frames; export the asset again where it was made.")
        cv2.imwrite(str(portrait), np.ascontiguousarray(first[..., ::-1]))
        added = add_avatar(home, name, portrait, folder / VIDEO, rights, film=FilmChoice(as_it_is=True))
    try:
        check_film(person, load_avatar(added).plate, name)
        write_person(added / f"{ENGINE}-{FILE}", person)
    except StudioError:
        remove_avatar(home, name)
        raise
    return added


def export_asset(avatar: Avatar, folder: Path) -> None:
    """Write an avatar's asset folder.

    It contains the person, a video of the played frames, forward and then backward, with the marks by which a browser
    identifies its frames, and a thumbnail. Raises StudioError.
    """
    kept = avatar.engine_file(ENGINE, FILE)
    if not kept.is_file():
        raise StudioError(f"Avatar '{avatar.name}' has not been prepared for DH_live; open it once with this engine.")
    person = read_person(kept)
    check_film(person, avatar.plate, avatar.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudioError(f"{folder} cannot be written ({error.strerror}); choose another place.") from None
    plate = avatar.plate
    frames = shown_frames(plate).tolist() if len(plate) == len(person) else list(range(len(person)))
    write_person(folder / FILE, person.part(frames))
    with Mp4Writer(folder / VIDEO, plate.width, plate.height, RATE_FPS, sound=False, crf=18) as out:
        for number, index in enumerate(frames + frames[::-1]):
            out.frame(rgb_to_i420(marked(i420_to_rgb(plate.frame(index)), number)), index=number)
    shown = i420_to_rgb(plate.frame(frames[0]))
    scale = THUMBNAIL_PX / max(shown.shape[:2])
    cv2.imwrite(str(folder / THUMBNAIL), np.ascontiguousarray(cv2.resize(shown, None, fx=scale, fy=scale)[..., ::-1]))


def marked(rgb: ImageArray, number: int) -> ImageArray:
    """Write the frame's number, modulo 16, into the four pixels of the upper right corner; return the frame.

    Bits run from right to left, then down.
    """
    for bit in range(4):
        rgb[bit // 2, rgb.shape[1] - 1 - bit % 2] = 255 if number >> bit & 1 else 0
    return rgb
