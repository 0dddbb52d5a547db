"""A small synthetic film of a face whose head sways and whose mouth opening is known in every frame."""

import atexit
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from engines.mesh.motion import REST
from engines.mesh.session import MeshSession
from harness.sample_avatar import sample_avatar
from shared.avatar.model import Avatar
from shared.avatar.plate import Plate, save_index

CALM, TALK = 6, 12  # frames with closed lips, and frames of speech after them
GAP = 0.12  # largest opening of the speaking mouth, in eye distances
SIZE_PX = (400, 420)  # of the film at SCALE, the size of a ROI pixel in the film
SCALE = 0.6


def gap_at(frame: int) -> float:
    """Return the distance of the film's lips in a frame, in eye distances."""
    return 0.0 if frame < CALM else GAP * (0.0, 0.5, 1.0, 0.5)[(frame - CALM) % 4]


def placement_at(frame: int, scale: float = SCALE) -> NDArray[np.float64]:
    """Return the (2, 3) placement of the ROI in a frame."""
    turn = 0.02 * np.sin(frame / 3)
    away = scale / SCALE
    x, y = away * (40.0 + 3 * frame), away * (50.0 + 2 * np.sin(frame))
    return np.array([[scale, -turn, x], [turn, scale, y]])


@cache
def filmed_body(talks: bool = True, scale: float = SCALE) -> Avatar:
    """Return the sample avatar with a film of itself as its plate: CALM + TALK frames at 25 fps.

    talks: whether the mouth speaks; False for closed lips throughout. scale: the film's scale, see SCALE.
    """
    folder = Path(mkdtemp(prefix="studio-film-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    portrait = sample_avatar()
    moved, count = MeshSession(portrait), CALM + TALK
    size = round(SIZE_PX[0] * scale / SCALE / 2) * 2, round(SIZE_PX[1] * scale / SCALE / 2) * 2
    columns = np.array([0.3, 0.6, 0.9, 1, 1, 1, 0.9, 0.6, 0.3], np.float32)
    jpegs = []
    for frame in range(count):
        gap = gap_at(frame) if talks else 0.0
        turned = REST.with_turn(2 * np.sin(frame / 4), 0, 0)
        pixels = moved.frame(0, replace(turned, lips=columns * np.float32(gap), seal=np.zeros(1, np.float32))).pixels
        image = cv2.warpAffine(pixels, placement_at(frame, scale), size, borderMode=cv2.BORDER_REPLICATE)
        # Neighbouring frames have different tints, so that tests can tell them apart.
        image = np.clip(image.astype(int) + (0, 0, 3 * (frame % 5)), 0, 255).astype(np.uint8)
        jpegs.append(simplejpeg.encode_jpeg(image, quality=97, colorspace="RGB", colorsubsampling="420"))
    (folder / "plate.mjpg").write_bytes(b"".join(jpegs))
    save_index(
        folder,
        width=size[0],
        height=size[1],
        fps=25,
        sizes=[len(jpeg) for jpeg in jpegs],
        placements=np.stack([placement_at(frame, scale) for frame in range(count)]),
        gains=np.full((count, 3), 0.8, np.float32),  # of another light: not applied to faces drawn for this film
        offsets=np.full((count, 3), 9.0, np.float32),
    )
    return replace(sample_avatar(own_plate=False), folder=folder, plate=Plate.load(folder))
