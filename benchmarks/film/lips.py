"""How far the lips of a speaking film open, compared with the same host as a portrait.

`python -m benchmarks.film.lips SPEECH FILM ... [--sheet FOLDER] [--json]`: each film becomes an avatar without a
portrait, and its still an avatar without a film; both speak. mean, portrait_mean: mean opening of the lips in the
program's frames above that in silence, in eye distances, over the frames in which the portrait's lips are apart; over:
their quotient; correlation: between the two.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from compositing.compose import Composer
from engines.api import VoiceBlock
from engines.registry import load_frame_engine
from shared.avatar.body_faces import kept_body_faces
from shared.avatar.build import FilmChoice, add_avatar
from shared.avatar.model import Avatar, load_avatar
from shared.face.finder import FaceFinder
from shared.face.landmarks import Face
from shared.media.array_types import ImageArray
from shared.media.colour import i420_to_rgb
from shared.media.image_file import write_pixels
from shared.media.reader import read_sound
from shared.media.still import read_image
from shared.runtime.clock import SOUND_RATE_HZ

APART = 0.03  # least opening of the portrait's lips in a frame that counts, in eye distances
BLOCK_S, QUIET_S = 0.2, 1.0
FACE_PX, CELL_PX = 150, 240  # size of a face for the tracker, and side of the image around it
FACE_BOX = (45.0, 45.0, 195.0, 195.0)
CELLS = 12  # of a contact sheet


def measure(speech: Path, film: Path, sheet: Path | None = None) -> dict[str, float]:
    """Figures of one film. sheet: a folder for a contact sheet."""
    sound = np.concatenate([samples for _, samples in read_sound(speech)])
    sound = np.concatenate([np.zeros(round(QUIET_S * SOUND_RATE_HZ), sound.dtype), sound])
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as home:
        body = load_avatar(add_avatar(Path(home), "film", None, film, "benchmark", film=FilmChoice(keep=False)))
        still = load_avatar(add_avatar(Path(home), "still", _enlarged(body.folder / "portrait.png"), None, "benchmark"))
        shown = list(_spoken(body, sound))
        on_film, on_still = (np.array([opening for opening, _ in each]) for each in (shown, _spoken(still, sound)))
        if sheet is not None:
            chosen = np.linspace(len(shown) // 4, len(shown) - 1, CELLS).astype(int)
            rows = [
                np.concatenate([shown[at][1] for at in chosen[n : n + CELLS // 2]], axis=1) for n in (0, CELLS // 2)
            ]
            sheet.mkdir(parents=True, exist_ok=True)
            write_pixels(sheet / f"{film.stem}.jpg", np.concatenate(rows)[..., ::-1])
    count = min(len(on_film), len(on_still))
    quiet = slice(0, round(QUIET_S * 25) - 5)
    above = [each[:count] - np.median(each[quiet]) for each in (on_film, on_still)]
    open_ = above[1] > APART
    means = [float(each[open_].mean()) for each in above]
    return {
        "frames": int(open_.sum()),
        "quiet": round(float(np.median(on_film[quiet])), 3),
        "portrait_quiet": round(float(np.median(on_still[quiet])), 3),
        "mean": round(means[0], 4),
        "portrait_mean": round(means[1], 4),
        "over": round(means[0] / max(means[1], 1e-6), 3),
        "correlation": round(float(np.corrcoef(above[0], above[1])[0, 1]), 3),
    }


def _enlarged(portrait: Path) -> Path:
    """Write the portrait at twice its size to another file, so that a face that is small in its film can be used."""
    rgb = read_image(portrait)
    large = portrait.with_name("large.png")
    write_pixels(
        large, np.asarray(cv2.resize(rgb, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)[..., ::-1]
    )
    return large


def _spoken(avatar: Avatar, sound: NDArray[np.int16]) -> Iterator[tuple[float, ImageArray]]:
    """Yield (opening of the lips, close-up) for each program frame of an avatar that speaks this sound."""
    session, composer, finder = load_frame_engine("mesh").open(avatar), Composer(avatar), FaceFinder()
    faces = None if avatar.own_plate else kept_body_faces(avatar)
    size = round(BLOCK_S * SOUND_RATE_HZ)
    for at in range(0, len(sound) + size, size):
        block = VoiceBlock(round(at * 1_000_000 / SOUND_RATE_HZ), sound[at : at + size])
        for frame in session.hear(block) if at < len(sound) else session.flush():
            index = avatar.plate.index(frame.pts) if frame.plate is None else frame.plate
            face = avatar.face if faces is None else faces.face(index)
            composed = composer.compose(
                composer.background(index), index, frame.pixels, 1.0, own=frame.plate is not None
            )
            if face is not None:
                close = _close_up(i420_to_rgb(composed.frame), face.moved(avatar.plate.placements[index]))
                found = finder.face_near(close, FACE_BOX)
                if found is not None:
                    yield found.mouth_opening, close


def _close_up(rgb: ImageArray, face: Face) -> ImageArray:
    """Cut out a face at a common size, because the tracker reads the lips of a small face as further open."""
    left, top, right, bottom = face.box
    scale = FACE_PX / face.size
    if scale < 1.0:
        size = max(2, round(rgb.shape[1] * scale)), max(2, round(rgb.shape[0] * scale))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        left, top, right, bottom, scale = left * scale, top * scale, right * scale, bottom * scale, 1.0
    shift = CELL_PX / 2 - scale * np.array([(left + right) / 2, (top + bottom) / 2])
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(
        cv2.warpAffine(rgb, matrix, (CELL_PX, CELL_PX), flags=how, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = {film.name: measure(given.speech, film, given.sheet) for film in given.films}
    print(json.dumps(result) if given.json else json.dumps(result, indent=1))
