"""Stills of every mode and profile: the same colours in sRGB, and the alpha that they contain."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from shared.media.array_types import ImageArray
from shared.media.display.transparency import BACKDROP
from shared.media.still import read_cut_out, read_image
from tests.support.files.icc_files import ADOBE_RGB, DISPLAY_P3, cmyk_profile, grey_profile, rgb_profile

pytestmark = pytest.mark.unit

PATCHES = np.array(
    [(200, 60, 50), (60, 170, 70), (60, 70, 190), (200, 150, 120), (30, 30, 30), (230, 230, 230)], np.uint8
)


LITTLE_LOST: dict[str, dict[str, Any]] = {"jpg": {"quality": 98, "subsampling": 0}, "webp": {"lossless": True}}


def chart() -> ImageArray:
    """(48, 96, 3): the patches side by side."""
    return np.ascontiguousarray(np.repeat(np.repeat(PATCHES[None], 16, axis=1), 48, axis=0))


def seen(rgb: ImageArray) -> NDArray[np.int64]:
    return rgb[24, 8::16].astype(np.int64)


def as_profile(profile: bytes, mode: str = "RGB") -> Image.Image:
    """Return the chart as a camera or printer with this profile stores it."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    image = ImageCms.profileToProfile(
        Image.fromarray(chart()),
        ImageCms.createProfile("sRGB"),
        target,
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode=mode,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert image is not None
    return image


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("primaries", [DISPLAY_P3, ADOBE_RGB], ids=["p3", "adobe"])
def test_a_wide_profile_is_converted(primaries: Any, suffix: str, tmp_path: Path) -> None:
    profile = rgb_profile(*primaries)
    image = as_profile(profile)
    assert np.abs(seen(np.array(image)) - PATCHES).max() > 10, "the pixels differ"
    how: dict[str, Any] = LITTLE_LOST.get(suffix, {})
    image.save(tmp_path / f"a.{suffix}", icc_profile=profile, **how)
    assert np.abs(seen(read_image(tmp_path / f"a.{suffix}")) - PATCHES).max() <= (6 if suffix == "jpg" else 3)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_a_profile_counts_in_every_rgb_mode(mode: str, tmp_path: Path) -> None:
    profile = rgb_profile(*DISPLAY_P3)
    image = as_profile(profile)
    image = image.quantize(16, dither=Image.Dither.NONE) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "a.png", icc_profile=profile)
    assert np.abs(seen(read_image(tmp_path / "a.png")) - PATCHES).max() <= 3


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_with_a_profile_is_as_light_as_it_was(mode: str, tmp_path: Path) -> None:
    """A grey of 128 with gamma 1.0 is 188 in sRGB."""
    if mode == "I;16":
        image = Image.fromarray(np.full((48, 96), 128 << 8, np.uint16))
    else:
        image = Image.new("L", (96, 48), 128).convert(mode)
    image.save(tmp_path / "a.png", icc_profile=grey_profile(1.0))
    assert np.abs(seen(read_image(tmp_path / "a.png")) - 188).max() <= 1


def test_grey_that_says_it_is_rgb_is_read_by_that_profile(tmp_path: Path) -> None:
    Image.new("L", (96, 48), 128).save(tmp_path / "a.jpg", icc_profile=rgb_profile(*DISPLAY_P3))
    assert np.abs(seen(read_image(tmp_path / "a.jpg")) - 128).max() <= 1


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_with_a_profile_is_converted_by_it(suffix: str, tmp_path: Path) -> None:
    profile = cmyk_profile()
    image = as_profile(profile, "CMYK")
    how: dict[str, Any] = {"quality": 98, "subsampling": 0} if suffix == "jpg" else {}
    image.save(tmp_path / f"a.{suffix}", icc_profile=profile, **how)
    assert np.abs(seen(read_image(tmp_path / f"a.{suffix}")) - PATCHES).max() <= 10
    image.info.pop("icc_profile", None)
    image.save(tmp_path / f"b.{suffix}", **how)
    assert np.abs(seen(read_image(tmp_path / f"b.{suffix}")) - PATCHES).max() > 16, "the profile says otherwise"


@pytest.mark.parametrize("profile", [b"no profile at all", b"", cmyk_profile()])
def test_a_profile_that_is_none_or_of_another_mode_says_nothing(profile: bytes, tmp_path: Path) -> None:
    Image.fromarray(chart()).save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(read_image(tmp_path / "a.png"), chart())


def with_hole(kind: str) -> tuple[Image.Image, dict[str, Any]]:
    """Return a chart whose left half is transparent, and the options to save it with."""
    alpha = np.full((48, 96), 255, np.uint8)
    alpha[:, :48] = 0
    rgba = Image.fromarray(np.dstack([chart(), alpha]))
    if kind == "LA":
        return rgba.convert("LA"), {}
    if kind == "P":
        return rgba.convert("RGBA").quantize(16), {}
    if kind == "RGB":  # one colour is declared transparent
        rgb = chart()
        rgb[:, :48] = (1, 2, 3)
        return Image.fromarray(rgb), {"transparency": (1, 2, 3)}
    return rgba, {}


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("RGBA", "png"), ("RGBA", "webp"), ("RGBA", "tif"), ("LA", "png"), ("P", "png"), ("RGB", "png")],
)
def test_alpha_is_kept_and_grey_is_seen_behind_it(kind: str, suffix: str, tmp_path: Path) -> None:
    image, how = with_hole(kind)
    image.save(tmp_path / f"a.{suffix}", **how, **LITTLE_LOST.get(suffix, {}))
    rgb, alpha = read_cut_out(tmp_path / f"a.{suffix}")
    assert alpha is not None and alpha.shape == (48, 96)
    assert (alpha[:, :48] == 0).all() and (alpha[:, 48:] == 255).all()
    assert (rgb[:, :48] == BACKDROP).all()
    if kind in ("RGBA", "RGB"):
        assert np.array_equal(rgb[:, 48:], chart()[:, 48:])


def test_alpha_turns_with_its_image_and_a_profile_does_not_touch_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image, _ = with_hole("RGBA")
    image.save(tmp_path / "a.png", exif=exif, icc_profile=rgb_profile(*DISPLAY_P3))
    rgb, alpha = read_cut_out(tmp_path / "a.png")
    assert alpha is not None and alpha.shape == (96, 48) == rgb.shape[:2]
    assert (alpha[:48] == 0).all() and (alpha[48:] == 255).all()


def test_an_opaque_image_has_no_alpha(tmp_path: Path) -> None:
    Image.fromarray(chart()).convert("RGBA").save(tmp_path / "a.png")
    assert read_cut_out(tmp_path / "a.png")[1] is None


def test_lab_is_converted(tmp_path: Path) -> None:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    image = ImageCms.profileToProfile(Image.fromarray(chart()), srgb, lab, outputMode="LAB")
    assert image is not None
    image.info.pop("icc_profile", None)
    image.save(tmp_path / "a.tif")
    assert np.abs(seen(read_image(tmp_path / "a.tif")) - PATCHES).max() <= 8, "8 bits of Lab are coarse"


def test_grey_of_sixteen_bits_and_of_real_numbers_is_scaled(tmp_path: Path) -> None:
    Image.fromarray(np.full((48, 96), 150 << 8, np.uint16)).save(tmp_path / "a.png")
    Image.fromarray(np.full((48, 96), 150 / 255, np.float32)).save(tmp_path / "b.tif")
    for name in ("a.png", "b.tif"):
        assert np.abs(seen(read_image(tmp_path / name)) - 150).max() <= 1


def test_a_fourth_byte_that_means_nothing_is_no_alpha(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([chart(), np.zeros((48, 96), np.uint8)])).save(tmp_path / "a.png")
    rgb, alpha = read_cut_out(tmp_path / "a.png")
    assert alpha is None and np.array_equal(rgb, chart())
