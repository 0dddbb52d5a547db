"""Alpha that films and stills bring along: decoded where it is, and what is seen where they are transparent."""

from functools import cache

import av
import cv2
import numpy as np

from shared.media.array_types import ImageArray

BACKDROP = 128  # grey behind what is transparent: neutral to every colour measure taken from it later
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders leave out the alpha of WebM


def decoder_of(stream: av.VideoStream) -> av.VideoCodecContext:
    """What decodes a stream's packets: its own decoder, or for a WebM that says that it has alpha one that reads it.

    A seek does not flush that one.
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
    """Whether frames of one of FFmpeg's pixel formats have alpha."""
    layout = av.VideoFormat(pixels)
    return bool(layout.has_palette) or any(each.is_alpha for each in layout.components)


def over_backdrop(rgb: ImageArray, alpha: ImageArray) -> ImageArray:
    """(H, W, 3) uint8 RGB with (H, W) uint8 alpha, not premultiplied, as it is seen over grey."""
    share = np.repeat(alpha[..., None], 3, axis=2)
    shown = cv2.multiply(rgb, share, scale=1 / 255)
    behind = cv2.multiply(255 - share, np.full_like(share, BACKDROP), scale=1 / 255)
    return np.asarray(cv2.add(shown, behind), np.uint8)
