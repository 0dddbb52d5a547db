"""A contact sheet of composited frames: the plate, the composite, and where the composite's skin differs."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from benchmarks.composite.seam import Seam
from shared.face.landmarks import Face
from shared.media.array_types import ImageArray
from shared.media.image_file import write_pixels

CELL_PX = 280
AROUND = 1.7  # side of a cell over the size of the face
COLOURS = {1: (40, 80, 255), 2: (255, 60, 40), 3: (40, 220, 60)}  # RGB of darker, lighter and discoloured skin


@dataclass(slots=True)
class Sheet:
    """Three rows, a column per frame. Marked blue: darker; red: lighter; green: discoloured; dimmed: not examined."""

    _columns: list[ImageArray] = field(default_factory=list)

    def add(self, plate: ImageArray, shown: ImageArray, seam: Seam, face: Face) -> None:
        """Add a column.

        plate, shown: (H, W, 3) uint8 RGB, without and with the face. seam: what was measured. face: the plate's face.
        """
        marked = (shown * np.where(seam.bare, 1.0, 0.5)[..., None]).astype(np.uint8)
        for mark, colour in COLOURS.items():
            marked[seam.marks == mark] = colour
        self._columns.append(np.concatenate([_close_up(each, face) for each in (plate, shown, marked)]))

    def write(self, path: Path) -> None:
        """Write the sheet as JPEG or PNG, by the suffix of `path`. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_pixels(path, np.concatenate(self._columns, axis=1)[..., ::-1])


def _close_up(rgb: ImageArray, face: Face) -> ImageArray:
    left, top, right, bottom = face.box
    scale = CELL_PX / (face.size * AROUND)
    shift = CELL_PX / 2 - scale * np.array([(left + right) / 2, (top + bottom) / 2])
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    cell = cv2.warpAffine(rgb, matrix, (CELL_PX, CELL_PX), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cell, np.uint8)
