"""The full-body background: a still or a video with random access to its frames and one placement per frame.

On disk a plate is two files: `plate.mjpg`, its frames as consecutive JPEGs (full-range 4:2:0), and
`plate.npz`, with the offset and placement of each. JPEG allows random access (the plate is played to
and fro), and the same bytes can be sent to a browser once.
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

CACHE_BYTES = 256 << 20  # for decoded frames: enough for 7 s of a 720x1080 plate; longer plates are decoded repeatedly


@dataclass(slots=True)
class Plate:
    """A plate opened for reading. Not thread-safe.

    width, height: pixels, both even.
    fps: frames per second as recorded (25 for a still).
    placements: (N, 2, 3) float64, ROI pixels to plate pixels.
    gains, offsets: (N, 3) float32, for Y, U and V of the placed ROI: out = gain * (v - 128) + 128 + offset, which
        matches its colour to the plate's lighting.
    starts: (N + 1,) int64, offset of each frame in the file in bytes, and the end.
    openings: (N, 3) float32, `Face.opening_ratios` of the body's own face; None for a portrait's own plate, and for an
        avatar of a release that did not measure them.
    presence: (N,) float32, 0 to 1, opacity of the placed face on each frame: 0 where the body shows no face. None for
        1 throughout.
    order: (M,) int32, numbers of the frames of one round, which is repeated; None to play all frames to and fro.
    cuts: (C,) int64, numbers of the frames that do not continue the one before; smoothing and bridging end there.
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
        """Open `plate.mjpg` and `plate.npz` in a folder. Raises StudioError if they are damaged or do not match."""
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
        """Return the number of the frame to show at `pts` (microseconds).

        A plate without an order is played to and fro, which avoids a jump at its end.
        """
        number, count = int(pts * self.fps / US), len(self)
        if self.order is not None:
            return int(self.order[number % len(self.order)])
        if count == 1:
            return 0
        turn = number % (2 * (count - 1))
        return turn if turn < count else 2 * (count - 1) - turn

    def face_opacity(self, index: int) -> float:
        """Return the opacity of the placed face on a frame, 0 to 1."""
        return 1.0 if self.presence is None else float(self.presence[index])

    def jpeg(self, index: int) -> bytes:
        """One frame as JPEG."""
        with self.path.open("rb") as file:
            file.seek(int(self.starts[index]))
            return file.read(int(self.starts[index + 1] - self.starts[index]))

    def frame(self, index: int) -> ImageArray:
        """Return one frame as limited-range I420. Borrowed from the plate's cache: read only."""
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
        """Decode and return one frame as limited-range I420, without the cache."""
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
    """Write `plate.npz`. sizes: the frames' sizes in `plate.mjpg`, in bytes; the others as in `Plate`."""
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
    decoder.thread_count = 1  # frame threads would delay the decoder's output
    return decoder
