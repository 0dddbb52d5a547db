"""One tick of the program in the form that outputs receive, read from the compositor's messages."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.media.array_types import PixelBox
from shared.runtime.clock import SOUND_RATE_HZ, sound_samples
from shared.wire.message import Message, WireError


@dataclass(frozen=True, slots=True)
class ProgramFrame:
    """The program's frame of one tick.

    i420: (H * 3 / 2, W) uint8, limited range. Borrowed and shared: read only.
    box: the area that the face changed on the plate frame, (x, y, w, h), None if it changed nothing.
    label: whether the scene wants the label, which is not in the frames that the compositor sends.
    label_box: where an output has drawn the label, None where it has not.
    state: live, idle or plate. captured: time in microseconds at which the driver frame of this face entered capture,
    or 0.
    repeated: whether the gateway made this frame by repeating the last one.
    """

    tick: int
    pts: int
    i420: NDArray[np.uint8]
    avatar: str
    plate: int
    box: PixelBox | None
    label: bool
    state: str
    captured: int
    repeated: bool = False
    label_box: PixelBox | None = None

    @property
    def width(self) -> int:
        """Width of the program in pixels."""
        return int(self.i420.shape[1])

    @property
    def height(self) -> int:
        """Height of the program in pixels."""
        return int(self.i420.shape[0]) * 2 // 3


@dataclass(frozen=True, slots=True)
class ProgramSound:
    """The program's sound of one tick: (n,) int16 mono at 48 kHz, exactly `sound_samples` of that tick."""

    tick: int
    pts: int
    samples: NDArray[np.int16]
    repeated: bool = False


def frame_of(message: Message) -> ProgramFrame:
    """Return the frame in a program message. Raises WireError if the message is malformed."""
    i420 = message.array
    if message.format != "i420" or i420.shape[0] % 3 or i420.shape[0] == 0 or i420.shape[1] % 2 or i420.shape[1] == 0:
        raise WireError("malformed")
    width, height = int(i420.shape[1]), int(i420.shape[0]) * 2 // 3
    state = message.fact("state", str)
    tick, plate, captured = (message.fact(name, int) for name in ("tick", "plate", "captured"))
    if (
        height % 2
        or state not in ("live", "idle", "plate")
        or min(tick, plate, captured) < 0
        or max(tick, plate) >= 1 << 32
    ):
        raise WireError("malformed")
    return ProgramFrame(
        tick=tick,
        pts=message.pts,
        i420=i420,
        avatar=message.fact("avatar", str)[:80],
        plate=plate,
        box=_box(message.fact("box", list), width, height),
        label=message.fact("label", bool),
        state=state,
        captured=captured,
    )


def _box(values: list[Any], width: int, height: int) -> PixelBox | None:
    if not values:
        return None
    if len(values) != 4 or any(type(n) is not int or n < 0 or n % 2 for n in values):
        raise WireError("malformed")
    x, y, w, h = values
    if w == 0 or h == 0 or x + w > width or y + h > height:
        raise WireError("malformed")
    return x, y, w, h


def sound_of(message: Message, rate: Fraction) -> ProgramSound:
    """Return the sound in a message. Raises WireError if the message does not hold exactly its tick's samples."""
    tick = message.fact("tick", int)
    if message.format != "s16" or not 0 <= tick < 1 << 32:
        raise WireError("malformed")
    first, end = sound_samples(tick, rate, SOUND_RATE_HZ)
    if len(message.array) != end - first:
        raise WireError("malformed")
    return ProgramSound(tick, message.pts, message.array)
