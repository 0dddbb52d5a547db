"""Colours of films: by their tags where they have any, else by one rule, and always in standard dynamic range."""

import errno
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc
from numpy.typing import NDArray

from shared.errors import StudioError
from shared.media.array_types import ImageArray
from shared.media.colour import i420_to_rgb, planes, to_bt709
from shared.media.display.standard_light import (
    BT709,
    WideColour,
    hlg_cd,
    light_of,
    pq_cd,
    primaries_matrix,
    to_srgb,
)
from shared.media.output_spec import is_hd
from shared.media.reader import VideoReader
from tests.support.files.film_files import CodedPlane, write_film, yuv_frame

pytestmark = pytest.mark.unit

PATCHES = np.array(
    [(200, 40, 40), (40, 180, 60), (40, 60, 200), (220, 200, 40), (16, 16, 16), (240, 240, 240), (200, 150, 120)],
    np.float64,
)
Planes = tuple[CodedPlane, CodedPlane, CodedPlane]
WEIGHTS = {Colorspace.ITU601: (0.299, 0.114), Colorspace.ITU709: (0.2126, 0.0722), Colorspace.BT2020: (0.2627, 0.0593)}


def chart(size: tuple[int, int]) -> NDArray[np.float64]:
    """(H, W, 3) coded RGB, 0 to 1: the patches side by side."""
    width, height = size
    return np.broadcast_to(PATCHES[np.arange(width) * len(PATCHES) // width] / 255, (height, width, 3))


def seen(rgb: ImageArray) -> NDArray[np.float64]:
    """(7, 3) the middle of each patch."""
    height, width = rgb.shape[:2]
    step = width / len(PATCHES)
    return np.array([rgb[height // 2, int((number + 0.5) * step)] for number in range(len(PATCHES))], np.float64)


def coded(rgb: NDArray[np.float64], matrix: int, full: bool = False, bits: int = 8) -> Planes:
    """Y, U and V of coded RGB, 0 to 1, by the formulas of BT.601, BT.709 and BT.2020."""
    red, blue = WEIGHTS[Colorspace(matrix)]
    y = rgb @ np.array([red, 1 - red - blue, blue])
    u, v = (rgb[..., 2] - y) / (2 - 2 * blue), (rgb[..., 0] - y) / (2 - 2 * red)
    steps, most = 1 << (bits - 8), (1 << bits) - 1
    scaled = (y * most, u * most + 128 * steps, v * most + 128 * steps) if full else (
        (16 + 219 * y) * steps, (128 + 224 * u) * steps, (128 + 224 * v) * steps
    )  # fmt: skip
    y, u, v = (np.rint(np.clip(plane, 0, most)).astype(np.uint8 if bits == 8 else np.uint16) for plane in scaled)
    return y, u, v


def shown(film: Path) -> NDArray[np.float64]:
    with VideoReader(film) as reader:
        ((_, rgb),) = reader
    return seen(rgb)


# Matrix and range


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("size", [(1280, 64), (140, 720), (140, 576), (720, 576), (1278, 64)])
def test_without_a_tag_hd_is_bt709_and_all_else_bt601(size: tuple[int, int], full: bool, tmp_path: Path) -> None:
    matrix = Colorspace.ITU709 if is_hd(size) else Colorspace.ITU601
    frame = yuv_frame(*coded(chart(size), matrix, full), matrix=2, full=full)
    assert np.abs(shown(write_film(tmp_path / "a.mp4", [frame])) - PATCHES).max() <= 3


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("size", [(140, 96), (1280, 720)])
def test_a_tag_is_believed(size: tuple[int, int], matrix: int, full: bool, tmp_path: Path) -> None:
    frame = yuv_frame(*coded(chart(size), matrix, full), matrix=int(matrix), full=full)
    assert np.abs(shown(write_film(tmp_path / "a.mp4", [frame])) - PATCHES).max() <= 3


@pytest.mark.parametrize(
    ("primaries", "matrix"),
    [
        (ColorPrimaries.BT709, Colorspace.ITU709),
        (ColorPrimaries.SMPTE170M, Colorspace.ITU601),
        (ColorPrimaries.BT470BG, Colorspace.ITU601),
    ],
)
@pytest.mark.parametrize("size", [(140, 96), (1280, 64)])
def test_without_a_matrix_the_primaries_say_it(
    size: tuple[int, int], primaries: ColorPrimaries, matrix: int, tmp_path: Path
) -> None:
    frame = yuv_frame(*coded(chart(size), matrix), matrix=2)
    film = write_film(tmp_path / "a.mp4", [frame], light=(ColorTrc.UNSPECIFIED, primaries))
    assert np.abs(shown(film) - PATCHES).max() <= 3


@pytest.mark.parametrize("codec", ["png", "qtrle"])
def test_rgb_and_grey_have_no_matrix(codec: str, tmp_path: Path) -> None:
    rgb = np.rint(chart((1280, 64)) * 255).astype(np.uint8)
    for pixels in ("rgb24", "gray"):
        frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixels)
        film = write_film(tmp_path / f"{pixels}.mov", [frame], codec, options={})
        expected = PATCHES if pixels == "rgb24" else seen(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
        assert np.abs(shown(film) - expected).max() <= 1


@pytest.mark.parametrize("size", [(1280, 720), (640, 480)])
def test_what_the_studio_delivers_comes_back_without_its_tags(size: tuple[int, int], tmp_path: Path) -> None:
    width = size[0]
    y, u, v = coded(chart(size), Colorspace.ITU601)
    i420 = np.concatenate([y.reshape(-1), u[::2, ::2].reshape(-1), v[::2, ::2].reshape(-1)]).reshape(-1, width)
    delivered = to_bt709(i420) if is_hd(size) else i420
    frame = yuv_frame(*planes(delivered), pixels="yuv420p")
    film = write_film(tmp_path / "a.mp4", [frame])
    assert np.abs(shown(film) - seen(i420_to_rgb(i420))).max() <= 3


# High dynamic range and wide gamut


def test_pq_and_hlg_are_those_of_bt2100() -> None:
    assert np.allclose(pq_cd(np.array([0.0, 0.508078, 0.580689, 0.751827, 1.0])), [0, 100, 203, 1000, 10000], rtol=1e-3)
    greys = hlg_cd(np.array([0.0, 0.5, 0.75, 1.0])[:, None] * np.ones(3))[:, 0]
    assert np.allclose(greys, [0, 50.7, 203, 1000], rtol=5e-3), "75 % is reference white"


def test_primaries_are_exchanged_white_to_white() -> None:
    published = [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ]  # ITU-R BT.2407-0, 2
    assert np.allclose(primaries_matrix(ColorPrimaries.BT2020), published, atol=2e-4)
    for primaries in (ColorPrimaries.SMPTE431, ColorPrimaries.SMPTE432, ColorPrimaries.BT470M):
        assert np.allclose(primaries_matrix(primaries) @ np.ones(3), 1.0, atol=1e-9)


def test_highlights_are_rolled_off_and_everything_below_them_stays() -> None:
    cd = np.array([0.1, 1, 10, 50, 100, 170, 203, 300, 500, 800, 1000, 4000])
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = (cd / 10_000) ** m1
    signal = ((c1 + c2 * power) / (1 + c3 * power)) ** m2
    out = to_srgb(signal[:, None] * np.ones(3), WideColour(ColorTrc.SMPTE2084, ColorPrimaries.BT2020))[:, 0]
    light = light_of(out, ColorTrc.IEC61966_2_1, BT709)
    assert np.allclose(light[:6], cd[:6] / 203, rtol=0.01), "up to a white shirt"
    assert (np.diff(out[:11]) > 0).all(), "brighter stays brighter"
    assert 0.94 < out[6] < 0.98
    assert np.allclose(out[10:], 1.0, atol=1e-3)


def hdr_signal(transfer: ColorTrc, primaries: ColorPrimaries, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the chart's light with white at 203 cd/m2, coded as PQ or HLG by the inverse of the published formulas."""
    light = light_of(chart(size), ColorTrc.IEC61966_2_1, BT709) @ np.linalg.inv(primaries_matrix(primaries)).T
    if transfer == ColorTrc.SMPTE2084:
        power = np.power(np.maximum(light, 0) * 203 / 10_000, 2610 / 16384)
        return np.asarray(((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32))
    display = np.maximum(light, 0) * 203 / 1000
    luma = display @ np.array([0.2627, 0.678, 0.0593])
    scene = display * np.maximum(luma, 1e-9)[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c))


@pytest.mark.parametrize("matrix", [Colorspace.BT2020, 2])
@pytest.mark.parametrize("size", [(1280, 64), (140, 96)])
@pytest.mark.parametrize("tagged", [ColorPrimaries.BT2020, ColorPrimaries.UNSPECIFIED])
@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
def test_hdr_looks_as_its_sdr_original(
    transfer: ColorTrc, tagged: ColorPrimaries, size: tuple[int, int], matrix: int, tmp_path: Path
) -> None:
    signal = hdr_signal(transfer, ColorPrimaries.BT2020, size)
    frame = yuv_frame(*coded(signal, Colorspace.BT2020, bits=10), pixels="yuv444p10le", matrix=matrix)
    film = write_film(tmp_path / "a.mp4", [frame], light=(transfer, tagged))
    off = np.abs(shown(film) - PATCHES)
    assert off.max() <= 4, "10 bits of PQ are coarse in a dark channel"
    assert off[-3:].max() <= 1, "black, white and skin"


@pytest.mark.parametrize("matrix", [Colorspace.ITU709, Colorspace.BT2020])
@pytest.mark.parametrize("primaries", [ColorPrimaries.BT2020, ColorPrimaries.SMPTE432, ColorPrimaries.SMPTE431])
def test_a_wide_gamut_is_converted(matrix: int, primaries: ColorPrimaries, tmp_path: Path) -> None:
    size = (140, 96)
    light = light_of(chart(size), ColorTrc.IEC61966_2_1, BT709) @ np.linalg.inv(primaries_matrix(primaries)).T
    signal = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)
    frame = yuv_frame(*coded(signal, matrix), matrix=int(matrix))
    film = write_film(tmp_path / "a.mp4", [frame], light=(ColorTrc.BT709, primaries))
    assert np.abs(shown(film) - PATCHES).max() <= 5
    standard = write_film(tmp_path / "b.mp4", [frame], light=(ColorTrc.BT709, ColorPrimaries.BT709))
    assert np.abs(shown(standard) - PATCHES).max() > 12, "it is not the same without"


def test_hdr_is_scaled_and_turned_as_any_film(tmp_path: Path) -> None:
    signal = hdr_signal(ColorTrc.SMPTE2084, ColorPrimaries.BT2020, (280, 96))
    frame = yuv_frame(*coded(signal, Colorspace.BT2020, bits=10), pixels="yuv444p10le", matrix=Colorspace.BT2020)
    film = write_film(
        tmp_path / "a.mp4",
        [frame, frame],
        light=(ColorTrc.SMPTE2084, ColorPrimaries.BT2020),
        matrix=[0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30],
    )
    with VideoReader(film, max_side=140) as reader:
        frames = [rgb for _, rgb in reader]
        assert (reader.width, reader.height) == (48, 140) == frames[0].shape[1::-1]
    assert np.array_equal(frames[0], frames[1])
    assert np.abs(seen(np.rot90(frames[0])) - PATCHES).max() <= 4


def test_an_ordinary_frame_takes_the_short_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.media.display.film_colour._ColourCube", None)
    frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), 90, np.uint8), "rgb24").reformat(format="yuv420p")
    film = write_film(tmp_path / "a.mp4", [frame], light=(ColorTrc.BT709, ColorPrimaries.BT709))
    assert abs(shown(film) - 90).max() <= 2


def test_no_room_for_the_table_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    frame = yuv_frame(*coded(chart((140, 96)), Colorspace.BT2020), matrix=Colorspace.BT2020)
    film = write_film(tmp_path / "a.mp4", [frame], light=(ColorTrc.SMPTE2084, ColorPrimaries.BT2020))
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StudioError, match=r"colours cannot be converted \(.*No space left.*\); free some space"):
        shown(film)
