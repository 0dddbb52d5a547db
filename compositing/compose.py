"""One program frame: a plate frame, the face on it, the label. The same for live and for render."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compositing.blend import NOWHERE, Blender
from compositing.label import Label
from shared.avatar.model import Avatar
from shared.media.array_types import ImageArray, PixelBox


@dataclass(frozen=True, slots=True)
class Composed:
    """A finished program frame.

    frame: I420, see shared.media.colour. box: (x, y, width, height) of what the face changed, NOWHERE where nothing.
    label: the box of the label, NOWHERE without one. under: I420 of that box as it was before, where it was kept.
    """

    frame: ImageArray
    plate: int
    box: PixelBox
    label: PixelBox
    under: ImageArray | None = None


class Composer:
    """Composes frames for one avatar. Not thread-safe."""

    def __init__(self, avatar: Avatar, *, keep_under: bool = False) -> None:
        """keep_under: keep what the label covers, for those who may put out a frame without it."""
        self.avatar = avatar
        self._keep_under = keep_under
        self._blender = Blender(avatar.mask)
        self._label = Label()

    def background(self, index: int) -> ImageArray:
        """A copy of a plate frame to compose into. The costly part (decoding) and the only full-frame copy: a live
        compositor does it ahead of the tick."""
        return self.avatar.plate.frame(index).copy()

    def compose(
        self, background: ImageArray, index: int, roi: NDArray[np.uint8] | None, opacity: float, label: bool
    ) -> Composed:
        """Place ROI pixels (S, S, 3 or 4) on plate frame `index` lying in `background`, which becomes the program frame.

        opacity: 0 (the plate as recorded) to 1.
        """
        plate = self.avatar.plate
        box = NOWHERE
        if roi is not None and opacity > 0:
            box = self._blender.place(
                background, roi, plate.placements[index], plate.gains[index], plate.offsets[index], opacity
            )
        if not label:
            return Composed(background, index, box, NOWHERE)
        under = self._label.under(background) if self._keep_under else None
        return Composed(background, index, box, self._label.draw(background), under)
