"""Converts a film's frames for display: upright, with square pixels, in sRGB, transparent areas over grey."""

import av

from shared.media.array_types import ImageArray
from shared.media.display.film_colour import FrameColours
from shared.media.display.orientation import orientation_of
from shared.media.display.transparency import has_alpha, over_backdrop

MOST_SQUEEZED = 10  # highest ratio of a pixel's sides; a larger one is an error in the file


class FrameView:
    """Converts the frames of one video stream to upright images of one size. Not thread-safe.

    width, height: size of the upright images in pixels.
    """

    def __init__(self, stream: av.VideoStream, first: av.VideoFrame, max_side: int | None = None) -> None:
        """first: the frame whose size all images get; frames of another size are scaled to it.

        max_side: length in pixels to which the longer side is reduced; None for no limit.
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
        """Return the frame as (H, W, 3) uint8 sRGB, owned by the caller."""
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
