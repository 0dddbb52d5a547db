"""Where the host is in an image: found by a small network, fitted to the edges that are seen, steadied over time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.plate import Plate
from shared.face.networks.segmenter import PersonSegmenter
from shared.media.array_types import FloatArray, ImageArray
from shared.media.colour import i420_to_rgb
from shared.runtime.files import write_atomically

FILE, VERSION = "matte.npz", 1  # in the avatar's folder; what another version measured is measured anew
MARGIN = 0.08  # of the host's size, around it, in the close-up that is looked at a second time
SURE, LEAST = 0.5, 0.02  # what counts as the host; and how much of the largest piece another piece must have to stay
# Of the image's longer side, how far an edge may be from where the network has it: it sees 256 pixels a side.
REACH = 1 / 110
SOFTNESS = 3e-4  # contrast squared, of an image from 0 to 1, below which the guide has no edge (He et al. 2010)
BLACK, WHITE = 0.48, 0.93  # what is spread to nothing and all: a wider one shows the old background as a halo


@dataclass(slots=True)
class MatteCutter:
    """Cuts hosts out of images. About 60 ms for 720x1080 on one core. Not thread-safe.

    The network is MediaPipe's selfie segmentation (MobileNetV3, 256x256, Apache 2.0).
    """

    _segmenter: PersonSegmenter = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._segmenter = PersonSegmenter()

    def find(self, rgb: ImageArray) -> FloatArray:
        """(H, W) float32, 0 to 1, how surely each pixel of (H, W, 3) uint8 RGB is the host; soft and coarse.

        Looked at twice: as a whole, and then the host alone, larger.
        """
        whole = self._segmenter.find(rgb)
        x, y, w, h = cv2.boundingRect((whole > SURE).astype(np.uint8))
        height, width = whole.shape
        if w * h < 0.01 * width * height:
            return whole
        by = round(MARGIN * max(w, h))
        left, top, right, bottom = max(0, x - by), max(0, y - by), min(width, x + w + by), min(height, y + h + by)
        if (right - left) * (bottom - top) > 0.8 * width * height:
            return whole
        closer = np.zeros_like(whole)
        closer[top:bottom, left:right] = self._segmenter.find(rgb[top:bottom, left:right])
        return closer


def refined(found: FloatArray, rgb: ImageArray) -> ImageArray:
    """(H, W) uint8 matte: what was found, drawn to the edges of the image itself, without specks.

    The guided filter of He, Sun and Tang, "Guided Image Filtering", ECCV 2010.
    """
    reach = max(2, round(max(found.shape) * REACH))
    guide = rgb.astype(np.float32) / 255
    soft = cv2.ximgproc.guidedFilter(guide, _largest(found), reach, SOFTNESS)
    return np.asarray(np.rint(np.clip((soft - BLACK) / (WHITE - BLACK), 0.0, 1.0) * 255), np.uint8)


def _largest(found: FloatArray) -> FloatArray:
    """Without pieces that hang in the air, and without holes: a host has neither, or hardly any."""
    solid = (found > SURE).astype(np.uint8)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(solid)
    if count > 2:
        sizes = stats[1:, cv2.CC_STAT_AREA]
        stray = np.flatnonzero(sizes < max(sizes.max() * LEAST, 1)) + 1
        found = np.where(np.isin(pieces, stray), np.float32(0.0), found)
    return found


def plate_mattes(folder: Path, plate: Plate, progress: Callable[[int], None] = lambda done: None) -> "PlateMattes":
    """The mattes of all frames of an avatar's plate, kept in its folder, made the first time (0.1 s a frame at 720x1080).
    progress: called with frames done."""
    path = folder / FILE
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as data:
            same = int(data["version"]) == VERSION and np.array_equal(data["plate"], plate.starts)
            if same:
                return PlateMattes(data["starts"].astype(np.int64), data["data"].astype(np.uint8))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        pass  # not made yet, or damaged
    coded = []
    for matte in _steadied(plate):
        coded.append(cv2.imencode(".png", matte, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].reshape(-1))
        progress(len(coded))
    mattes = PlateMattes(np.cumsum([0, *map(len, coded)]).astype(np.int64), np.concatenate(coded).astype(np.uint8))
    file = BytesIO()
    np.savez(file, version=VERSION, plate=plate.starts, starts=mattes.starts, data=mattes.data)
    try:
        write_atomically(path, file.getvalue(), 0o644)
    except OSError:
        pass  # a folder that cannot be written is measured each time
    return mattes


def _steadied(plate: Plate) -> Iterator[ImageArray]:
    """Refined mattes of all frames. What the network finds is the middle one of three frames, so that what it sees in one
    alone does not flash; a plate is played to and fro, and so it is steady both ways."""
    cutter = MatteCutter()
    before: FloatArray | None = None
    here, rgb = _look(cutter, plate, 0)
    for index in range(len(plate)):
        after, following = _look(cutter, plate, index + 1) if index + 1 < len(plate) else (here, rgb)
        around = [here if before is None else before, here, after]
        yield refined(np.asarray(np.median(around, axis=0), np.float32) if len(plate) > 1 else here, rgb)
        before, here, rgb = here, after, following


def _look(cutter: MatteCutter, plate: Plate, index: int) -> tuple[FloatArray, ImageArray]:
    rgb = i420_to_rgb(plate.frame(index))
    return cutter.find(rgb), rgb


@dataclass(slots=True)
class PlateMattes:
    """Mattes as PNG, one after the other. starts: (N + 1,) int64, where each begins. data: (n,) uint8."""

    starts: NDArray[np.int64]
    data: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def frame(self, index: int) -> ImageArray:
        """(H, W) uint8 of one frame, yours."""
        coded = self.data[self.starts[index] : self.starts[index + 1]]
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
