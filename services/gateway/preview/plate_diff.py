"""Comparison of a frame with its plate: finds the 16x16 blocks of a box that a page with the plate must be sent."""

from collections import OrderedDict
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.plate import Plate
from shared.errors import StudioError
from shared.media.array_types import ImageArray
from shared.media.colour import crop, planes, to_full, to_limited
from shared.runtime.logs import get_logger

log = get_logger()
BLOCK_SIDE_PX = 16  # a JPEG block with 4:2:0 chroma: a flat block costs a few bits and does not affect its neighbours
# A block equals the plate if no sample differs by more than LIMIT and the mean difference is at most MEAN, in steps of
# 1/255. That is less than the error of JPEG at the preview's quality.
LIMIT, MEAN = 8, 1.5
CACHE_BYTES = 48 << 20


class PlateFrames:
    """Decodes an avatar's plate to limited-range I420 frames, with a cache of CACHE_BYTES. Owned by one thread."""

    def __init__(self, folder: Path) -> None:
        self._plate: Plate | None = None
        self._cache: OrderedDict[int, ImageArray] = OrderedDict()
        self._decoder = av.VideoCodecContext.create("mjpeg", "r")
        self._decoder.thread_count = 1
        try:
            self._plate = Plate.load(folder)
        except StudioError as error:
            log.warning("plate_not_loaded", why=str(error))

    def frame(self, index: int, width: int, height: int) -> ImageArray | None:
        """Return a frame, None if the plate has no such frame of this size or cannot be read."""
        plate = self._plate
        if plate is None or (plate.width, plate.height) != (width, height) or index >= len(plate):
            return None
        kept = self._cache.get(index)
        if kept is None:
            try:
                (decoded,) = self._decoder.decode(av.Packet(plate.jpeg(index)))
            except (OSError, ValueError) as error:
                log.warning("plate_not_read", why=str(error))
                self._plate = None
                return None
            kept = to_limited(np.asarray(decoded.to_ndarray(format="yuvj420p"), np.uint8))
            while self._cache and (len(self._cache) + 1) * kept.nbytes > CACHE_BYTES:
                self._cache.popitem(last=False)
            self._cache[index] = kept
        self._cache.move_to_end(index)
        return kept


def differing(part: ImageArray, plate: ImageArray) -> NDArray[np.bool_]:
    """Return which blocks of a part of a frame differ from the same part of the plate, both I420.

    The result is (rows, columns) bool, one value for each square block of BLOCK_SIDE_PX.
    """
    height, width = part.shape[0] * 2 // 3, part.shape[1]
    rows, columns = -(-height // BLOCK_SIDE_PX), -(-width // BLOCK_SIDE_PX)
    most = np.zeros((rows, columns), np.uint8)
    mean = np.zeros((rows, columns), np.float64)
    for mine, theirs, side in zip(
        planes(part), planes(plate), (BLOCK_SIDE_PX, BLOCK_SIDE_PX // 2, BLOCK_SIDE_PX // 2), strict=True
    ):
        off = np.zeros((rows * side, columns * side), np.uint8)
        off[: mine.shape[0], : mine.shape[1]] = cv2.absdiff(np.ascontiguousarray(mine), np.ascontiguousarray(theirs))
        blocks = off.reshape(rows, side, columns, side)
        most = np.maximum(most, blocks.max(axis=(1, 3)))
        mean = np.maximum(mean, blocks.mean(axis=(1, 3)))
    differs: NDArray[np.bool_] = (most > LIMIT) | (mean > MEAN)
    return differs


def flattened(part: ImageArray, wanted: NDArray[np.bool_]) -> tuple[ImageArray, ImageArray, ImageArray]:
    """Return the part's full-range planes, in which every block that is not wanted is filled with its mean colour."""
    out = []
    rows, columns = wanted.shape
    for plane, side in zip(planes(to_full(part)), (BLOCK_SIDE_PX, BLOCK_SIDE_PX // 2, BLOCK_SIDE_PX // 2), strict=True):
        height, width = plane.shape
        whole = cv2.copyMakeBorder(plane, 0, rows * side - height, 0, columns * side - width, cv2.BORDER_REPLICATE)
        means = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
        flat = cv2.resize(means, (columns * side, rows * side), interpolation=cv2.INTER_NEAREST)
        mask = np.repeat(np.repeat(wanted, side, axis=0), side, axis=1)
        out.append(np.ascontiguousarray(np.where(mask, whole, flat)[:height, :width]))
    return out[0], out[1], out[2]


def pack_bits(wanted: NDArray[np.bool_]) -> bytes:
    """Pack one bit per block, row after row, lowest bit first."""
    return np.packbits(wanted.reshape(-1), bitorder="little").tobytes()


def part_of(
    frame: ImageArray, plate: ImageArray | None, box: tuple[int, int, int, int]
) -> tuple[ImageArray, NDArray[np.bool_]]:
    """Return the part of the frame inside the box, and which of its blocks must be sent, (rows, columns) bool.

    Without a plate all blocks must be sent.
    """
    part = crop(frame, *box)
    if plate is None:
        return part, np.ones((-(-box[3] // BLOCK_SIDE_PX), -(-box[2] // BLOCK_SIDE_PX)), bool)
    return part, differing(part, crop(plate, *box))
