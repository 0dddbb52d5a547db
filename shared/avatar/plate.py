"""The full-body background: a still or a video, any frame at once, one placement per frame.

On disk a plate is two files: `plate.mjpg`, its frames as JPEG (full-range 4:2:0) one after the
other, and `plate.npz`, where each begins and where the face goes. JPEG because any frame must be at
hand (the plate is played to and fro) and because a browser is sent the very same bytes once.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from shared.errors import StudioError
from shared.media.array_types import ImageArray
from shared.media.colour import to_limited
from shared.runtime.arrays import UNREADABLE_ARRAYS
from shared.runtime.clock import US

CACHE_BYTES = 256 << 20  # decoded frames kept: a 7 s 720x1080 plate fits, longer ones are decoded as they come


@dataclass(slots=True)
class Plate:
    """A plate opened for reading. Not thread-safe.

    width, height: pixels, both even.
    fps: frames a second as recorded (25 for a still).
    placements: (N, 2, 3) float64, ROI pixels to plate pixels.
    gains, offsets: (N, 3) float32, for Y, U and V of the placed ROI: out = gain * (v - 128) + 128 + offset, which
        matches its colour to the plate's lighting.
    openings: (N, 3) float32, `Face.opening_ratios` of the body's own face; None on a portrait's own plate, or where the
        avatar was added before they were measured.
    presence: (N,) float32, 0 to 1, how opaque a face is placed on each frame: 0 where the body shows no face. None for
        1 throughout.
    order: (M,) int32, frames in the order of one round, which is played again and again; None for all of them to and
        fro.
    cuts: (C,) int64, frames that do not follow from the one before: what is smoothed or bridged ends there.
    """

    path: Path
    width: int
    height: int
    fps: float
    placements: NDArray[np.float64]
    gains: NDArray[np.float32]
    offsets: NDArray[np.float32]
    starts: NDArray[np.int64]
    openings: NDArray[np.float32] | None = None
    presence: NDArray[np.float32] | None = None
    order: NDArray[np.int32] | None = None
    cuts: NDArray[np.int64] | None = None
    _cache: OrderedDict[int, ImageArray] = field(init=False, repr=False, default_factory=OrderedDict)
    _decoder: av.VideoCodecContext = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._decoder = _jpeg_decoder()

    @classmethod
    def load(cls, folder: Path) -> "Plate":
        """Open `plate.mjpg` and `plate.npz` in an avatar's folder. Raises StudioError when they do not fit."""
        try:
            with np.load(BytesIO((folder / "plate.npz").read_bytes()), allow_pickle=False) as data:
                plate = cls(
                    path=folder / "plate.mjpg",
                    width=int(data["width"]),
                    height=int(data["height"]),
                    fps=float(data["fps"]),
                    placements=data["placements"],
                    gains=data["gains"],
                    offsets=data["offsets"],
                    starts=data["starts"],
                    openings=data.get("openings"),
                    presence=data.get("presence"),
                    order=data.get("order"),
                    cuts=data.get("cuts"),
                )
            order = plate.order
            fits = order is None or (len(order) > 0 and order.min() >= 0 and order.max() < len(plate))
            whole = fits and plate.path.stat().st_size == int(plate.starts[-1])
        except UNREADABLE_ARRAYS as error:
            raise StudioError(f"The plate in {folder} cannot be read ({error}); add the avatar again.") from error
        if not whole:
            raise StudioError(f"{plate.path} is not the file its index was made for; add the avatar again.")
        return plate

    def __len__(self) -> int:
        return len(self.starts) - 1

    def index(self, pts: int) -> int:
        """The frame to show at `pts` (microseconds).

        A plate without an order of its own is played to and fro, so that its end never jumps.
        """
        number, count = int(pts * self.fps / US), len(self)
        if self.order is not None:
            return int(self.order[number % len(self.order)])
        if count == 1:
            return 0
        turn = number % (2 * (count - 1))
        return turn if turn < count else 2 * (count - 1) - turn

    def face_opacity(self, index: int) -> float:
        """How opaque a face is placed on a frame, 0 to 1."""
        return 1.0 if self.presence is None else float(self.presence[index])

    def jpeg(self, index: int) -> bytes:
        """One frame as JPEG."""
        with self.path.open("rb") as file:
            file.seek(int(self.starts[index]))
            return file.read(int(self.starts[index + 1] - self.starts[index]))

    def frame(self, index: int) -> ImageArray:
        """One frame as limited-range I420. Borrowed: the plate keeps it, so do not write to it."""
        kept = self._cache.get(index)
        if kept is not None:
            self._cache.move_to_end(index)
            return kept
        image = self.decoded(index)
        while self._cache and (len(self._cache) + 1) * image.nbytes > CACHE_BYTES:
            self._cache.popitem(last=False)
        self._cache[index] = image
        return image

    def decoded(self, index: int) -> ImageArray:
        """One frame as limited-range I420, decoded now and not kept."""
        (frame,) = self._decoder.decode(av.Packet(self.jpeg(index)))
        return to_limited(np.asarray(frame.to_ndarray(format="yuvj420p"), np.uint8))


def save_index(
    folder: Path,
    *,
    width: int,
    height: int,
    fps: float,
    sizes: list[int],
    placements: NDArray[np.float64],
    gains: NDArray[np.float32],
    offsets: NDArray[np.float32],
    openings: NDArray[np.float32] | None = None,
    presence: NDArray[np.float32] | None = None,
    order: NDArray[np.int32] | None = None,
    cuts: NDArray[np.int64] | None = None,
) -> None:
    """Write `plate.npz` for a `plate.mjpg` whose frames have these sizes in bytes."""
    given = {"openings": openings, "presence": presence, "order": order, "cuts": cuts}
    further = {name: value for name, value in given.items() if value is not None}
    np.savez(
        folder / "plate.npz",
        width=width,
        height=height,
        fps=fps,
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        placements=placements.astype(np.float64),
        gains=gains.astype(np.float32),
        offsets=offsets.astype(np.float32),
        allow_pickle=False,
        **further,
    )


def _jpeg_decoder() -> av.VideoCodecContext:
    decoder = av.VideoCodecContext.create("mjpeg", "r")
    decoder.thread_count = 1  # with frame threads a packet would not come out at once
    return decoder
