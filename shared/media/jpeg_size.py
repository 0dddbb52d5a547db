"""Size of a JPEG by its header, to check before decoding: a few hundred bytes can claim gigabytes of pixels."""

import simplejpeg


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Return width and height in pixels as stated in the header. Raises ValueError for data that is not a JPEG."""
    height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    return int(width), int(height)


def check_jpeg(jpeg: bytes, largest: int) -> None:
    """Raise ValueError for data that is not a JPEG or has a side of more than `largest` pixels."""
    if not jpeg or not 0 < max(jpeg_size(jpeg)) <= largest or min(jpeg_size(jpeg)) <= 0:
        raise ValueError("larger than an image can be here")
