"""Colour: planes are where they should be and ranges convert without drift."""

import numpy as np
import simplejpeg

from shared.media import colour
from shared.media.array_types import ImageArray


def make_frame(height: int = 48, width: int = 64) -> ImageArray:
    return np.random.default_rng(5).integers(16, 236, (height * 3 // 2, width)).astype(np.uint8)


def test_planes_are_views_of_the_right_size() -> None:
    i420 = make_frame()
    luma, u, v = colour.planes(i420)
    assert luma.shape == (48, 64) and u.shape == v.shape == (24, 32)
    v[:] = 7
    assert (i420.reshape(-1)[-24 * 32 :] == 7).all() and not (u == 7).all()


def test_crop_takes_the_same_pixels_of_all_planes() -> None:
    i420 = make_frame()
    luma, u, v = colour.planes(colour.crop(i420, 8, 4, 20, 10))
    whole = colour.planes(i420)
    assert np.array_equal(luma, whole[0][4:14, 8:28])
    assert np.array_equal(u, whole[1][2:7, 4:14]) and np.array_equal(v, whole[2][2:7, 4:14])


def test_full_range_black_and_white_become_limited() -> None:
    i420 = np.full((6, 4), 128, np.uint8)
    i420[:2], i420[2:4] = 0, 255
    luma = colour.planes(colour.to_limited(i420))[0]
    assert luma.min() == 16 and luma.max() == 235


def test_there_and_back_is_within_one_level() -> None:
    i420 = make_frame()
    back = colour.to_limited(colour.to_full(i420)).astype(int)
    assert np.abs(back - i420).max() <= 1


def test_a_jpeg_in_limited_range_is_what_opencv_makes_of_its_pixels() -> None:
    # Two routes from the same grey ramp to I420 must agree, or a plate would be lit unlike the face on it.
    ramp = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None], 64, axis=0)
    rgb = np.ascontiguousarray(np.dstack([ramp] * 3))
    import av

    decoder = av.VideoCodecContext.create("mjpeg", "r")
    (frame,) = decoder.decode(av.Packet(simplejpeg.encode_jpeg(rgb, 98, "RGB", "420"))) or decoder.decode(None)
    planar = colour.to_limited(np.asarray(frame.to_ndarray(format="yuvj420p"), np.uint8))
    assert np.abs(planar.astype(int) - colour.rgb_to_i420(rgb)).max() <= 3
