"""The three published generations and their differences, available without loading anything."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of a generation, in pixels, width before height.

    crop: side of the square face crop that is warped. window: the central part of the crop that the network draws.
        sound_rate: sample rate of the filter bank, Hz. shift: number of outputs of the audio network by which a video
        frame's output is later than the frame itself.
    """

    crop: int
    window: tuple[int, int]
    sound_rate: int
    shift: int

    @property
    def corner(self) -> tuple[int, int]:
        """The window's (left, top) in the crop."""
        return (self.crop - self.window[0]) // 2, (self.crop - self.window[1]) // 2


class Generation(Enum):
    """Generation of the published networks."""

    MINI2 = "mini2"
    MINI1 = "mini1"
    OLD = "old"

    @property
    def geometry(self) -> Geometry:
        """Sizes of the generation."""
        return GEOMETRIES[self]


GEOMETRIES = {
    Generation.MINI2: Geometry(184, (112, 80), 8000, 5),
    Generation.MINI1: Geometry(128, (72, 72), 8000, 5),
    Generation.OLD: Geometry(256, (256, 256), 16000, 4),
}
