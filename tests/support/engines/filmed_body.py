"""A small film by construction: a face whose head sways and whose mouth is known in every frame."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import cv2
import numpy as np

from engines.mesh.motion import REST
from engines.mesh.session import MeshSession
from shared.avatar.model import Avatar
from shared.avatar.plate import Plate, save_index
from tests.support.engines.mesh_material import avatar

CALM, TALK = 6, 12  # frames with closed lips, and frames that speak after them
GAP = 0.12  # eye distances that the speaking mouth opens at most
SIZE = (400, 420)


def gap_at(frame: int) -> float:
    """How far the film's lips are apart in a frame, eye distances."""
    return 0.0 if frame < CALM else GAP * (0.0, 0.5, 1.0, 0.5)[(frame - CALM) % 4]


def placement_at(frame: int) -> np.ndarray:
    """(2, 3) where the ROI lies in a frame."""
    turn = 0.02 * np.sin(frame / 3)
    return np.array([[0.6, -turn, 40.0 + 3 * frame], [turn, 0.6, 50.0 + 2 * np.sin(frame)]])


@cache
def filmed_body(talks: bool = True) -> Avatar:
    """The sample avatar on a film of CALM + TALK frames at 25 a second, of itself. talks: whether its mouth speaks."""
    folder, moved = Path(mkdtemp()), MeshSession(avatar())
    jpegs, placements = [], []
    for frame in range(CALM + TALK):
        gap = gap_at(frame) if talks else 0.0
        lips = np.full(9, gap, np.float32) * np.array([0.3, 0.6, 0.9, 1, 1, 1, 0.9, 0.6, 0.3], np.float32)
        skin = REST.skin.copy()
        motion = replace(
            REST.with_turn(2 * np.sin(frame / 4), 0, 0), lips=lips, seal=np.zeros(1, np.float32), skin=skin
        )
        pixels = moved.frame(0, motion).pixels
        image = cv2.warpAffine(pixels, placement_at(frame), SIZE, borderMode=cv2.BORDER_REPLICATE)
        # Each frame has a tint of its own, by which one tells it from its neighbours.
        image = np.clip(image.astype(int) + (0, 0, 3 * (frame % 5)), 0, 255).astype(np.uint8)
        jpegs.append(cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])[1].tobytes())
        placements.append(placement_at(frame))
    count = len(jpegs)
    (folder / "plate.mjpg").write_bytes(b"".join(jpegs))
    save_index(
        folder, width=SIZE[0], height=SIZE[1], fps=25, sizes=[len(jpeg) for jpeg in jpegs],
        placements=np.stack(placements), gains=np.full((count, 3), 0.8, np.float32), offsets=np.full((count, 3), 9.0, np.float32),
    )  # fmt: skip
    return replace(avatar(own_plate=False), folder=folder, plate=Plate.load(folder))
