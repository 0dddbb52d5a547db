"""An avatar of a few small frames that is made quickly, for tests that handle plates and faces but not their look."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from shared.avatar.matte import FILE, FRAMES, VERSION
from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.avatar.plate import Plate, save_index
from shared.avatar.plate_frames import PlateFrameWriter, SourceFrame
from shared.face.landmarks import POINTS, Face
from shared.media.array_types import ImageArray

WIDTH, HEIGHT = 128, 160
SCALE, LEFT, TOP = 0.125, 32, 48  # of the ROI on the plate: 64 pixels a side
FACE = np.s_[TOP : TOP + 64, LEFT : LEFT + 64]


def small_avatar(
    folder: Path,
    frames: int = 3,
    *,
    cut_outs: Sequence[ImageArray] = (),
    mattes: Sequence[ImageArray] = (),
    own_plate: bool = True,
) -> Avatar:
    """Make the avatar `small`: its plate frames are grey, each lighter than the last, with the ROI in the middle.

    cut_outs: alpha of each frame, as if the source had it. mattes: of each frame, as if measured before. own_plate:
    False for another person's body, of which the ROI covers a disc.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with PlateFrameWriter(folder) as plate:
        for index in range(frames):
            rgb = np.full((HEIGHT, WIDTH, 3), 60 + 40 * index, np.uint8)
            plate.add(SourceFrame(rgb, cut_outs[index] if cut_outs else None))
    placements = np.tile([[SCALE, 0.0, LEFT], [0.0, SCALE, TOP]], (frames, 1, 1))
    ones, zeros = np.ones((frames, 3), np.float32), np.zeros((frames, 3), np.float32)
    facts = {"placements": placements, "gains": ones, "offsets": zeros}
    save_index(folder, width=WIDTH, height=HEIGHT, fps=25, sizes=plate.sizes, **facts)
    opened = Plate.load(folder)
    if mattes:
        coded = [cv2.imencode(".png", each)[1].tobytes() for each in mattes]
        (folder / FRAMES).write_bytes(b"".join(coded))
        starts = np.cumsum([0, *map(len, coded)])
        np.savez(folder / FILE, version=VERSION, plate=opened.starts, starts=starts)
    mask = np.full((ROI_SIZE_PX, ROI_SIZE_PX), 255, np.uint8)
    if not own_plate:
        mask[:] = 0
        cv2.circle(mask, (256, 256), 200, (255,), -1)
    return Avatar(
        name="small",
        folder=folder,
        rights="test",
        roi=textured(),
        face=Face(np.zeros((POINTS, 3), np.float32)),
        mask=mask,
        own_plate=own_plate,
        rest=(0.0, 0.0),
        portrait_to_roi=np.eye(2, 3),
        plate=opened,
    )


def textured() -> ImageArray:
    """Return (512, 512, 3) uint8 RGB in which every part looks different."""
    noise = np.random.default_rng(4).integers(0, 256, (ROI_SIZE_PX, ROI_SIZE_PX, 3)).astype(np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 5)
    return np.asarray(cv2.normalize(blurred, np.empty_like(blurred), 20, 235, cv2.NORM_MINMAX), np.uint8)
