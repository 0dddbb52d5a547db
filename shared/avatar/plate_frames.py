"""Writes a plate's frames and the cut-out of a portrait or body that has its own alpha.

`plate.mjpg` contains the frames as JPEG. For a source with alpha, `cutout.pngs` contains the alpha of each frame as
PNG, and `cutout.npz` the offset of each. Unlike a computed matte, a cut-out is part of the avatar.
"""

from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from shared.avatar.film.join import Blend
from shared.media.array_types import ImageArray
from shared.runtime.arrays import UNREADABLE_ARRAYS

FRAMES, CUT_OUTS, CUT_OUT_INDEX = "plate.mjpg", "cutout.pngs", "cutout.npz"
JPEG_QUALITY = 92
LEAST_CLEAR = 0.001  # smallest transparent share of a plate's pixels for a cut-out


class SourceFrame(NamedTuple):
    """A frame of a portrait or body. rgb: (H, W, 3) uint8, over grey; alpha: (H, W) uint8, None where it is opaque."""

    rgb: ImageArray
    alpha: ImageArray | None = None


class PlateFrameWriter:
    """Writes a plate's frames; use it as a context manager. sizes: size of each frame in bytes."""

    def __init__(self, folder: Path) -> None:
        self.sizes: list[int] = []
        self._folder = folder
        self._starts = [0]
        self._cut_outs = _CutOuts(folder)

    def __enter__(self) -> "PlateFrameWriter":
        self._file = (self._folder / FRAMES).open("wb")
        return self

    def add(self, frame: SourceFrame) -> None:
        """Add a frame as a JPEG (4:2:0), and its cut-out where it has one."""
        self._add_jpeg(
            simplejpeg.encode_jpeg(frame.rgb, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="420")
        )
        self._cut_outs.add(frame.alpha, frame.rgb.shape[:2])

    def copy(self, jpeg: bytes, alpha: ImageArray | None) -> None:
        """Add a frame of another plate without re-encoding. alpha: that plate's cut-out, None without one."""
        self._add_jpeg(jpeg)
        self._cut_outs.add(alpha, None if alpha is None else alpha.shape)

    def added(self, frames: Iterable[SourceFrame]) -> Iterator[ImageArray]:
        """Add each frame and yield its RGB."""
        for frame in frames:
            self.add(frame)
            yield frame.rgb

    def add_blends(self, blends: Iterable[Blend]) -> None:
        """Add the frames of a film's cross-fades, after all frames of the film."""
        for blend in blends:
            rgb = _mixed(self.read(blend.before), self.read(blend.after), blend.weight)
            before, after = self._cut_outs.read(blend.before), self._cut_outs.read(blend.after)
            alpha = None if before is None or after is None else _mixed(before, after, blend.weight)
            self.add(SourceFrame(rgb, alpha))

    def read(self, number: int) -> ImageArray:
        """Return an added frame as (H, W, 3) uint8 RGB."""
        if not self._file.closed:
            self._file.flush()
        with (self._folder / FRAMES).open("rb") as file:
            file.seek(self._starts[number])
            return np.asarray(simplejpeg.decode_jpeg(file.read(self.sizes[number])), np.uint8)

    @property
    def clear(self) -> float:
        """Share of all pixels that the source's own cut-out removes, 0 without one. Valid after the context's end."""
        return self._cut_outs.clear

    def _add_jpeg(self, data: bytes) -> None:
        self._file.write(data)
        self._starts.append(self._starts[-1] + len(data))
        self.sizes.append(len(data))

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        self._cut_outs.close(kind is None)


class _CutOuts:
    """Writes the alpha of all frames as soon as one frame has alpha; earlier frames are written as opaque then."""

    def __init__(self, folder: Path) -> None:
        self.clear = 0.0
        self._folder = folder
        self._file: BinaryIO | None = None
        self._opaque = 0  # frames before the first with alpha
        self._starts = [0]
        self._left_out, self._pixels = 0.0, 0

    def add(self, alpha: ImageArray | None, shape: tuple[int, ...] | None) -> None:
        if alpha is None and self._file is None:
            self._opaque += 1
            return
        shape = alpha.shape if alpha is not None else shape
        assert shape is not None
        if self._file is None:
            self._file = (self._folder / CUT_OUTS).open("w+b")
            for _ in range(self._opaque):
                self._write(np.full(shape, 255, np.uint8))
        self._write(alpha if alpha is not None else np.full(shape, 255, np.uint8))

    def _write(self, alpha: ImageArray) -> None:
        assert self._file is not None
        coded = cv2.imencode(".png", alpha, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
        self._file.write(coded)
        self._starts.append(self._starts[-1] + len(coded))
        self._left_out += float(1 - alpha.mean() / 255) * alpha.size
        self._pixels += alpha.size

    def read(self, number: int) -> ImageArray | None:
        if self._file is None:
            return None
        self._file.seek(self._starts[number])
        coded = np.frombuffer(self._file.read(self._starts[number + 1] - self._starts[number]), np.uint8)
        self._file.seek(self._starts[-1])
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)

    def close(self, whole: bool) -> None:
        if self._file is None:
            return
        self._file.close()
        clear = self._left_out / max(self._pixels, 1)
        if whole and clear >= LEAST_CLEAR:
            self.clear = clear
            np.savez(self._folder / CUT_OUT_INDEX, starts=np.array(self._starts, np.int64), allow_pickle=False)
        else:
            (self._folder / CUT_OUTS).unlink()


def cut_out_starts(folder: Path, frames: int) -> NDArray[np.int64] | None:
    """Return (frames + 1,) offsets of the alphas in `cutout.pngs`, None if the avatar has no intact cut-out."""
    try:
        with np.load(BytesIO((folder / CUT_OUT_INDEX).read_bytes()), allow_pickle=False) as data:
            starts = data["starts"].astype(np.int64)
        rising = starts[0] == 0 and bool((np.diff(starts) > 0).all())
        whole = len(starts) == frames + 1 and rising and (folder / CUT_OUTS).stat().st_size == starts[-1]
    except UNREADABLE_ARRAYS:
        return None
    return starts if whole else None


def _mixed(before: ImageArray, after: ImageArray, weight: float) -> ImageArray:
    return np.asarray(cv2.addWeighted(before, 1 - weight, after, weight, 0.0), np.uint8)
