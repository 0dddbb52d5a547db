"""JPEG images sent by a page: a header that claims too large an image is refused before anything is decoded."""

import cv2
import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from services.capture.service import MAX_JPEG_SIDE_PX, decoded_jpeg
from shared.media.driver_view import driver_view, view_size
from shared.wire.message import WireError

SMALL = bytes(simplejpeg.encode_jpeg(np.full((16, 24, 3), 90, np.uint8), 80))


def claiming(width: int, height: int) -> bytes:
    """Return a small JPEG whose header claims another size."""
    at = SMALL.index(b"\xff\xc0")
    return SMALL[: at + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + SMALL[at + 9 :]


def array(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def test_a_whole_image_is_decoded() -> None:
    assert decoded_jpeg(array(SMALL)).shape == (16, 24, 3)


@pytest.mark.parametrize(
    "size", [(65500, 65500), (12000, 12000), (1, 65535), (65535, 1), (MAX_JPEG_SIDE_PX + 1, 8), (0, 8)]
)
def test_an_image_that_claims_too_much_is_not_decoded(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(cv2, "imdecode", fails)
    with pytest.raises(WireError):
        decoded_jpeg(array(claiming(*size)))
    with pytest.raises(ValueError):
        view_size(claiming(*size))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", SMALL[:40], bytes(5000), b"GIF89a", SMALL[::-1]]
)
def test_what_is_no_image_is_malformed(data: bytes) -> None:
    with pytest.raises(WireError):
        decoded_jpeg(array(data))


@pytest.mark.parametrize("cut", range(100, len(SMALL), 60))
def test_half_an_image_ends_nothing(cut: int) -> None:
    try:
        assert decoded_jpeg(array(SMALL[:cut])).shape == (16, 24, 3)
    except WireError:
        pass


def test_every_view_that_capture_makes_is_one() -> None:
    for shape in ((1080, 1920, 3), (4000, 500, 3), (1, 1, 3), (1280, 720, 3)):
        view_size(driver_view(np.zeros(shape, np.uint8)))
