"""A small film by construction: a face whose head sways and whose mouth is known in every frame."""

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

CALM, TALK = 6, 12  # frames with closed lips, and frames that speak after them
GAP = 0.12  # eye distances that the speaking mouth opens at most
SIZE_PX = (400, 420)  # of the film; the ROI lies in it at SCALE
SCALE = 0.6


def gap_at(frame: int) -> float:
    """How far the film's lips are apart in a frame, eye distances."""
    return 0.0 if frame < CALM else GAP * (0.0, 0.5, 1.0, 0.5)[(frame - CALM) % 4]


def placement_at(frame: int, scale: float = SCALE) -> NDArray[np.float64]:
    """(2, 3) where the ROI lies in a frame."""
    turn = 0.02 * np.sin(frame / 3)
    away = scale / SCALE
    x, y = away * (40.0 + 3 * frame), away * (50.0 + 2 * np.sin(frame))
    return np.array([[scale, -turn, x], [turn, scale, y]])


@cache
def filmed_body(talks: bool = True, scale: float = SCALE) -> Avatar:
    """The sample avatar on a film of CALM + TALK frames at 25 a second, of itself. talks: whether its mouth speaks."""
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
        # Each frame has a tint of its own, by which one tells it from its neighbours.
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
        gains=np.full((count, 3), 0.8, np.float32),  # another light's: to be left alone
        offsets=np.full((count, 3), 9.0, np.float32),
    )
    return replace(sample_avatar(own_plate=False), folder=folder, plate=Plate.load(folder))
