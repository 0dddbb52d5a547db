"""Where the host is in an image: found by a small network, fitted to the edges that are seen, steadied over time."""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.plate import Plate
from shared.avatar.plate_frames import CUT_OUTS, cut_out_starts
from shared.errors import StudioError
from shared.face.networks.segmenter import PersonSegmenter
from shared.media.array_types import FloatArray, ImageArray
from shared.media.colour import i420_to_rgb
from shared.runtime.arrays import UNREADABLE_ARRAYS
from shared.runtime.files import write_atomically

# In the avatar's folder: the mattes as PNG, one after the other, and where each begins. Another version is measured
# again.
FRAMES, FILE, VERSION = "matte.pngs", "matte.npz", 2
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
    """The matte without detached pieces and without holes: a host has neither, or hardly any."""
    solid = (found > SURE).astype(np.uint8)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(solid)
    if count > 2:
        sizes = stats[1:, cv2.CC_STAT_AREA]
        stray = np.flatnonzero(sizes < max(sizes.max() * LEAST, 1)) + 1
        found = np.where(np.isin(pieces, stray), np.float32(0.0), found)
    return found


def plate_mattes(folder: Path, plate: Plate, progress: Callable[[int], None] = lambda done: None) -> "PlateMattes":
    """The mattes of all frames of an avatar's plate, made the first time and kept in its folder.

    Making them takes 0.1 s a frame at 720x1080, in constant memory. Where the source brought a cut-out along it is
    that. progress: called with frames done. Raises StudioError where there is no room for them.
    """
    own = own_cut_out(plate)
    if own is not None:
        return own
    kept = _kept(folder, plate)
    if kept is not None:
        return kept
    file = _writable(folder)
    try:
        return _measured(folder, plate, file, progress)
    except OSError as error:
        file.close()
        raise StudioError(
            f"The mattes of {folder.name} cannot be written ({error.strerror}); free some space and try again."
        ) from None
    finally:
        if isinstance(file.name, str):
            Path(file.name).unlink(missing_ok=True)  # where it was not finished


def own_cut_out(plate: Plate) -> "PlateMattes | None":
    """The alpha that a plate's portrait or body brings along, None where it is opaque."""
    folder = plate.path.parent
    starts = cut_out_starts(folder, len(plate))
    return None if starts is None else PlateMattes(starts, (folder / CUT_OUTS).open("rb"), _size(plate), own=True)


def _size(plate: Plate) -> tuple[int, int]:
    return plate.height, plate.width


def _measured(folder: Path, plate: Plate, file: BinaryIO, progress: Callable[[int], None]) -> "PlateMattes":
    sizes: list[int] = []
    for matte in _steadied(plate):
        coded = cv2.imencode(".png", matte, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
        file.write(coded)
        sizes.append(len(coded))
        progress(len(sizes))
    file.flush()
    mattes = PlateMattes(np.cumsum([0, *sizes]).astype(np.int64), file, _size(plate))
    if isinstance(file.name, str):  # else it has no name, and is gone when it is closed
        index = BytesIO()
        np.savez(index, version=VERSION, plate=plate.starts, starts=mattes.starts, allow_pickle=False)
        (folder / FILE).unlink(missing_ok=True)  # an index never stands beside frames that are not its own
        Path(file.name).rename(folder / FRAMES)
        write_atomically(folder / FILE, index.getvalue(), 0o644)
    return mattes


def _kept(folder: Path, plate: Plate) -> "PlateMattes | None":
    try:
        with np.load(BytesIO((folder / FILE).read_bytes()), allow_pickle=False) as data:
            if int(data["version"]) != VERSION or not np.array_equal(data["plate"], plate.starts):
                return None
            mattes = PlateMattes(data["starts"].astype(np.int64), (folder / FRAMES).open("rb"), _size(plate))
    except UNREADABLE_ARRAYS:
        return None  # not made yet, or damaged
    whole = os.fstat(mattes.file.fileno()).st_size == mattes.starts[-1] and len(mattes) == len(plate)
    return mattes if whole else None


def _writable(folder: Path) -> BinaryIO:
    """A new file in the folder.

    Where that cannot be written one without a name, and the mattes are measured each time.
    """
    try:
        path = folder / f".{FRAMES}.{os.getpid()}"
        return path.open("w+b")
    except OSError:
        return tempfile.TemporaryFile()


def _steadied(plate: Plate) -> Iterator[ImageArray]:
    """Refined mattes of all frames.

    What the network finds is the middle one of three frames, so that what it sees in one alone does not flash; a plate
    is played to and fro, and so it is steady both ways.
    """
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
    """Mattes as PNG, one after the other.

    starts: (N + 1,) int64, where each begins. file: that holds them, open, and closed with this. size: height and
    width. own: they are the source's own cut-out, and grey shows through where they are not opaque.
    """

    starts: NDArray[np.int64]
    file: BinaryIO
    size: tuple[int, int]
    own: bool = False

    def __del__(self) -> None:
        self.file.close()

    def __len__(self) -> int:
        return len(self.starts) - 1

    def frame(self, index: int) -> ImageArray:
        """(H, W) uint8 of one frame, yours; opaque where it is damaged."""
        first, end = int(self.starts[index]), int(self.starts[index + 1])
        try:
            coded = np.frombuffer(os.pread(self.file.fileno(), end - first, first), np.uint8)
            matte = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
        except (OSError, ValueError, OverflowError, cv2.error):
            matte = None
        if matte is None or matte.shape != self.size:
            return np.full(self.size, 255, np.uint8)
        return np.asarray(matte, np.uint8)
