"""Alpha of films and stills: decoding it, and compositing transparent areas over a grey backdrop."""

from functools import cache

import av
import cv2
import numpy as np

from shared.media.array_types import ImageArray

BACKDROP = 128  # grey behind transparent areas: neutral for all later measurements of colour
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders ignore the alpha of WebM


def decoder_of(stream: av.VideoStream) -> av.VideoCodecContext:
    """Return a decoder for a stream: its own, or one that also decodes alpha for a WebM that is tagged as having it.

    A seek in the container does not flush the latter.
    """
    own = stream.codec_context
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if tags.get("alpha_mode") != "1" or own.name not in _WITH_ALPHA or _WITH_ALPHA[own.name] not in av.codecs_available:
        return own
    decoder = av.CodecContext.create(_WITH_ALPHA[own.name], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.extradata = own.extradata
    decoder.width, decoder.height = own.width, own.height
    decoder.thread_count = own.thread_count
    return decoder


@cache
def has_alpha(pixels: str) -> bool:
    """Whether frames in this FFmpeg pixel format have alpha."""
    layout = av.VideoFormat(pixels)
    return bool(layout.has_palette) or any(each.is_alpha for each in layout.components)


def over_backdrop(rgb: ImageArray, alpha: ImageArray) -> ImageArray:
    """Composite (H, W, 3) uint8 RGB, not premultiplied, with (H, W) uint8 alpha over grey."""
    share = np.repeat(alpha[..., None], 3, axis=2)
    shown = cv2.multiply(rgb, share, scale=1 / 255)
    behind = cv2.multiply(255 - share, np.full_like(share, BACKDROP), scale=1 / 255)
    return np.asarray(cv2.add(shown, behind), np.uint8)
