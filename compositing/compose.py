"""Composition of a program frame from a plate frame and a face, the same live and in renders."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compositing.blend import AS_IT_IS, NOWHERE, Blender
from compositing.held import foreign_mask
from compositing.light import LightMatch
from shared.avatar.model import Avatar
from shared.media.array_types import ImageArray, PixelBox


@dataclass(frozen=True, slots=True)
class Composed:
    """A finished program frame, without the label.

    frame: I420, see shared.media.colour. box: the area that the face changed, (x, y, width, height), NOWHERE if none.
    """

    frame: ImageArray
    plate: int
    box: PixelBox


class Composer:
    """Composes frames for one avatar. Not thread-safe."""

    def __init__(self, avatar: Avatar) -> None:
        self.avatar = avatar
        self._own = Blender(avatar.mask)
        self._blender = self._own if avatar.own_plate else Blender(foreign_mask(avatar), LightMatch(avatar))

    def background(self, index: int) -> ImageArray:
        """Return a copy of a plate frame to compose into.

        This is the costly part (decoding) and the only full-frame copy; a live compositor does it ahead of the tick.
        """
        return self.avatar.plate.frame(index).copy()

    def compose(
        self, background: ImageArray, index: int, roi: NDArray[np.uint8] | None, opacity: float, *, own: bool = False
    ) -> Composed:
        """Place ROI pixels (S, S, 3 or 4) on plate frame `index` in `background`, which becomes the program frame.

        opacity: 0 (the plate as recorded) to 1; reduced where the plate's own face fades in or out. own: the pixels
            were made for this plate frame and match its light, so their colour is not changed.
        """
        plate = self.avatar.plate
        box = NOWHERE
        opacity *= plate.face_opacity(index)
        if roi is not None and opacity > 0:
            gains, offsets = AS_IT_IS if own else (plate.gains[index], plate.offsets[index])
            blender = self._own if own else self._blender
            box = blender.place(background, roi, plate.placements[index], gains, offsets, opacity, index)
        return Composed(background, index, box)
