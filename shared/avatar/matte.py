"""Mattes of the host: found by a small network, refined at the image's edges and stabilised over time."""

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

# In the avatar's folder: the mattes as consecutive PNGs, and their index. Mattes of another version are made again.
FRAMES, FILE, VERSION = "matte.pngs", "matte.npz", 2
MARGIN = 0.08  # margin around the host, relative to its size, in the close-up for the second pass
SURE, LEAST = 0.5, 0.02  # lowest probability of the host; smallest detached piece, relative to the largest one
# Distance, relative to the image's longer side, by which the network may be off at an edge: its input has 256 pixels.
REACH = 1 / 110
SOFTNESS = 3e-4  # squared contrast, for values 0 to 1, below which the guide has no edge (He et al. 2010)
BLACK, WHITE = 0.48, 0.93  # values that become 0 and 1; a wider range shows the old background as a halo


@dataclass(slots=True)
class MatteCutter:
    """Cuts hosts out of images. About 60 ms for 720x1080 on one core. Not thread-safe.

    The network is MediaPipe's selfie segmentation (MobileNetV3, 256x256, Apache 2.0).
    """

    _segmenter: PersonSegmenter = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._segmenter = PersonSegmenter()

    def find(self, rgb: ImageArray) -> FloatArray:
        """Return (H, W) float32 probabilities, 0 to 1, that pixels of (H, W, 3) uint8 RGB show the host.

        The result is soft and coarse. The network is run twice: on the whole image, and on a close-up of the host.
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
    """Return an (H, W) uint8 matte: the found probabilities aligned with the image's edges, without small pieces.

    By the guided filter of He, Sun and Tang, "Guided Image Filtering", ECCV 2010.
    """
    reach = max(2, round(max(found.shape) * REACH))
    guide = rgb.astype(np.float32) / 255
    soft = cv2.ximgproc.guidedFilter(guide, _largest(found), reach, SOFTNESS)
    return np.asarray(np.rint(np.clip((soft - BLACK) / (WHITE - BLACK), 0.0, 1.0) * 255), np.uint8)


def _largest(found: FloatArray) -> FloatArray:
    """The probabilities without small detached pieces, which a host rarely has."""
    solid = (found > SURE).astype(np.uint8)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(solid)
    if count > 2:
        sizes = stats[1:, cv2.CC_STAT_AREA]
        stray = np.flatnonzero(sizes < max(sizes.max() * LEAST, 1)) + 1
        found = np.where(np.isin(pieces, stray), np.float32(0.0), found)
    return found


def plate_mattes(folder: Path, plate: Plate, progress: Callable[[int], None] = lambda done: None) -> "PlateMattes":
    """Return the mattes of all frames of an avatar's plate, which are made on the first call and stored in its folder.

    Making them takes 0.1 s per frame at 720x1080, in constant memory. If the source has its own cut-out, that is used.
    progress: called with the number of frames done. Raises StudioError if they cannot be written.
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
            Path(file.name).unlink(missing_ok=True)  # removes an unfinished file


def own_cut_out(plate: Plate) -> "PlateMattes | None":
    """Return the source's own alpha of a plate's portrait or body, None if it is opaque."""
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
    if isinstance(file.name, str):  # otherwise an unnamed temporary file, which vanishes when closed
        index = BytesIO()
        np.savez(index, version=VERSION, plate=plate.starts, starts=mattes.starts, allow_pickle=False)
        (folder / FILE).unlink(missing_ok=True)  # an index must never be beside frames of another version
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
    """A new file in the folder, or an unnamed temporary file if the folder cannot be written.

    In the latter case the mattes are made on each call.
    """
    try:
        path = folder / f".{FRAMES}.{os.getpid()}"
        return path.open("w+b")
    except OSError:
        return tempfile.TemporaryFile()


def _steadied(plate: Plate) -> Iterator[ImageArray]:
    """Yield the refined mattes of all frames, stabilised by a median over three frames.

    The median removes flashes of single frames; it is symmetric in time, because a plate may be played to and fro.
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
    """Mattes of a plate's frames, as consecutive PNGs in a file.

    starts: (N + 1,) int64, offset of each in bytes, and the end. file: the open file, which this object owns and
    closes. size: (height, width). own: whether they are the source's own cut-out, whose transparent areas are grey in
    the plate.
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
        """Return the (H, W) uint8 matte of one frame, owned by the caller; opaque if it is damaged."""
        first, end = int(self.starts[index]), int(self.starts[index + 1])
        try:
            coded = np.frombuffer(os.pread(self.file.fileno(), end - first, first), np.uint8)
            matte = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
        except (OSError, ValueError, OverflowError, cv2.error):
            matte = None
        if matte is None or matte.shape != self.size:
            return np.full(self.size, 255, np.uint8)
        return np.asarray(matte, np.uint8)
