"""The driver's image as the console shows it: small and upright, and accepted only where it is a JPEG."""

import cv2
import numpy as np
import pytest

from shared.media.driver_view import MAX_BYTES, WIDTH_PX, driver_view, view_size


@pytest.mark.parametrize(
    ("width", "height", "size"), [(640, 360, (240, 135)), (360, 640, (240, 427)), (96, 64, (96, 64))]
)
def test_it_is_the_frame_made_small(width: int, height: int, size: tuple[int, int]) -> None:
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2, :, 0] = 200
    view = driver_view(rgb)
    assert view_size(view) == size and size[0] <= WIDTH_PX
    decoded = cv2.imdecode(np.frombuffer(view, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    shown = decoded[..., ::-1]
    wanted = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    assert cv2.PSNR(np.ascontiguousarray(shown), wanted) > 30


def test_noise_fits() -> None:
    noise = np.random.default_rng(4).integers(0, 256, (640, 240, 3)).astype(np.uint8)
    assert len(driver_view(noise)) < MAX_BYTES


@pytest.mark.parametrize("content", [b"", b"no image", driver_view(np.zeros((8, 8, 3), np.uint8))[:60]])
def test_what_is_no_jpeg_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        view_size(content)


def test_what_is_larger_than_any_view_is_refused() -> None:
    view = driver_view(np.zeros((8, 8, 3), np.uint8))
    assert view_size(view + bytes(100)) == (8, 8)
    with pytest.raises(ValueError, match="larger"):
        view_size(view + bytes(MAX_BYTES))
