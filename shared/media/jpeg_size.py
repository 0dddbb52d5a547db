"""The size of a JPEG by its header: known before a pixel is decoded, since a few hundred bytes can claim gigabytes."""

import simplejpeg


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height in pixels, as the header claims. Raises ValueError for what is no JPEG."""
    height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    return int(width), int(height)


def check_jpeg(jpeg: bytes, largest: int) -> None:
    """Raise ValueError for what is no JPEG, or has a side of more than `largest` pixels."""
    if not jpeg or not 0 < max(jpeg_size(jpeg)) <= largest or min(jpeg_size(jpeg)) <= 0:
        raise ValueError("larger than an image can be here")
