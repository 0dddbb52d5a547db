"""The frames of a film as they are meant to be shown: upright, with square pixels, in standard colours, over grey."""

import av

from shared.media.array_types import ImageArray
from shared.media.display.film_colour import FrameColours
from shared.media.display.orientation import orientation_of
from shared.media.display.transparency import has_alpha, over_backdrop

MOST_SQUEEZED = 10  # times wider than high, or higher than wide: a pixel beyond it is a mistake


class FrameView:
    """Shows the frames of one video stream at one size. Not thread-safe.

    width, height: pixels, upright.
    """

    def __init__(self, stream: av.VideoStream, first: av.VideoFrame, max_side: int | None = None) -> None:
        """first: a frame of the size that all have; others are fitted to it.

        max_side: frames are scaled down so that neither side is longer.
        """
        width, height = self.stored = first.width, first.height
        aspect = stream.sample_aspect_ratio
        if aspect and aspect != 1 and 1 / MOST_SQUEEZED < aspect < MOST_SQUEEZED:
            width = max(1, round(width * float(aspect)))
        scale = min(1.0, max_side / max(width, height)) if max_side else 1.0
        size = max(2, round(width * scale)), max(2, round(height * scale))
        self.width, self.height = size[::-1] if orientation_of(first).lying else size
        self._colours = FrameColours(size)

    def rgb(self, frame: av.VideoFrame) -> ImageArray:
        """(H, W, 3) uint8 sRGB, yours."""
        if has_alpha(frame.format.name):
            return self.cut_out(frame)[0]
        return orientation_of(frame).upright(self._colours.rgb(frame))

    def cut_out(self, frame: av.VideoFrame) -> tuple[ImageArray, ImageArray | None]:
        """(H, W, 3) uint8 sRGB over grey, and (H, W) uint8 alpha, 255 where it is opaque; None for a frame without."""
        if not has_alpha(frame.format.name):
            return self.rgb(frame), None
        rgb, alpha = self._colours.rgba(frame)
        turned = orientation_of(frame)
        if alpha.min() < 255:
            rgb = over_backdrop(rgb, alpha)
        return turned.upright(rgb), turned.upright(alpha)
