"""The sample avatar on its own plate, made from the astronaut's portrait, for engines without a studio home."""

import atexit
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np

from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.avatar.plate import Plate
from shared.avatar.plate_build import build_own_plate
from shared.avatar.samples import astronaut
from shared.face.landmarks import SURFACE
from shared.face.tracker import FaceTracker

SIDE = 1.9  # side of the ROI in sizes of the face, as `studio avatar add` crops it


def sample_avatar(own_plate: bool = True, rest: tuple[float, float] = (0.0, 0.0)) -> Avatar:
    """Return the astronaut as an avatar, in a temporary folder that is deleted at exit.

    own_plate: False gives the mask of a face on a foreign body, although the plate is still the portrait itself. rest:
    see `Avatar`.
    """
    portrait = np.asarray(cv2.resize(astronaut(), None, fx=2.0, fy=2.0, interpolation=cv2.INTER_CUBIC), np.uint8)
    tracker = FaceTracker(still=True)
    face = tracker.faces(portrait)[0]
    left, top, right, bottom = face.box
    scale = ROI_SIZE_PX / (SIDE * face.size)
    matrix = np.array(
        [
            [scale, 0.0, ROI_SIZE_PX / 2 - scale * (left + right) / 2],
            [0.0, scale, ROI_SIZE_PX / 2 - scale * (top + bottom) / 2],
        ]
    )
    roi = cv2.warpAffine(
        portrait, matrix, (ROI_SIZE_PX, ROI_SIZE_PX), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    face = face.moved(matrix)
    mask = np.full((ROI_SIZE_PX, ROI_SIZE_PX), 255, np.uint8)
    if not own_plate:
        mask[:] = 0
        hull = cv2.convexHull(face.points[:SURFACE, :2].copy())
        cv2.fillConvexPoly(mask, hull.astype(np.int32), (255,))
    folder = tempfile.mkdtemp(prefix="studio-bench-")  # engines store here what they measure of the avatar
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    build_own_plate(Path(folder), portrait, matrix)
    return Avatar(
        name="sample",
        folder=Path(folder),
        rights="public domain",
        roi=np.ascontiguousarray(roi, np.uint8),
        face=face,
        mask=mask,
        own_plate=own_plate,
        rest=rest,
        portrait_to_roi=matrix,
        plate=Plate.load(Path(folder)),
    )
