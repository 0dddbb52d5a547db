"""Alpha of films: read in every codec that carries it, with grey behind it, wherever reading begins."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from services.capture.demux import DriverFrame, read_driver
from shared.media.array_types import ImageArray
from shared.media.display.transparency import BACKDROP, over_backdrop
from shared.media.intake.damage import Damage
from shared.media.reader import VideoReader
from tests.support.files.film_files import write_film

pytestmark = pytest.mark.unit

FRAMES, SKIN = 8, (200, 150, 120)
# Codec, its pixels, the container, and its options.
CODECS = {
    "vp9": (
        "libvpx-vp9",
        "yuva420p",
        "webm",
        {"crf": "4", "b": "0", "cpu-used": "8", "deadline": "realtime", "g": "4"},
    ),
    "vp8": ("libvpx", "yuva420p", "webm", {"b": "4M", "auto-alt-ref": "0", "deadline": "realtime", "g": "4"}),
    "prores": ("prores_ks", "yuva444p10le", "mov", {"profile": "4444"}),
    "animation": ("qtrle", "argb", "mov", {}),
    "png": ("png", "rgba", "mov", {}),
    "ffv1": ("ffv1", "yuva420p", "mkv", {}),
}


def disc(number: int) -> ImageArray:
    """Return the (96, 160) alpha of a disc that moves from frame to frame."""
    y, x = np.mgrid[:96, :160]
    far = np.hypot(x - 50 - 6 * number, y - 48)
    return np.asarray(np.clip((32 - far) * 40, 0, 255), np.uint8)


def frames(pixels: str) -> Iterator[av.VideoFrame]:
    """Yield frames with the colour of skin in the disc, and black where nothing of it is visible."""
    for number in range(FRAMES):
        alpha = disc(number)
        rgb = np.where(alpha[..., None] > 0, np.array(SKIN), 0).astype(np.uint8)
        yield av.VideoFrame.from_ndarray(np.dstack([rgb, alpha]), "rgba").reformat(format=pixels)


@pytest.fixture(scope="module", params=CODECS)
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    codec, pixels, suffix, options = CODECS[request.param]
    path = tmp_path_factory.mktemp("films") / f"{request.param}.{suffix}"
    return write_film(path, frames(pixels), codec, options=options)


def test_alpha_is_read_and_grey_is_seen_behind_it(film: Path) -> None:
    with VideoReader(film) as reader:
        shown = list(reader.cut_out())
    assert len(shown) == FRAMES
    for number, (_, rgb, alpha) in enumerate(shown):
        assert alpha is not None and rgb.shape == (96, 160, 3)
        assert np.abs(alpha.astype(int) - disc(number)).mean() < 2
        assert np.abs(rgb[4:12, 4:12].astype(int) - BACKDROP).max() <= 2
        assert np.abs(rgb[48, 50 + 6 * number].astype(int) - SKIN).max() <= 8


def test_a_reader_of_frames_alone_and_a_live_driver_see_the_grey(film: Path) -> None:
    with VideoReader(film) as reader:
        for _, rgb in reader:
            assert np.abs(rgb[4:12, 4:12].astype(int) - BACKDROP).max() <= 2
    driven = [each.rgb for each in read_driver(film, motion=True, damage=Damage()) if isinstance(each, DriverFrame)]
    assert len(driven) == FRAMES and all(abs(int(rgb[8, 8, 0]) - BACKDROP) <= 2 for rgb in driven)


@pytest.mark.parametrize("start", [1, 5])
def test_reading_from_the_middle_gives_the_same_alpha(film: Path, start: int) -> None:
    with VideoReader(film) as reader:
        whole = list(reader.cut_out())
    with VideoReader(film, start=start * 40_000) as reader:
        part = list(reader.cut_out())
    assert [pts for pts, *_ in part] == [pts for pts, *_ in whole[start:]]
    for (_, rgb, alpha), (_, other, expected) in zip(part, whole[start:], strict=True):
        assert alpha is not None and expected is not None
        assert np.array_equal(rgb, other) and np.array_equal(alpha, expected)


def test_a_film_without_alpha_has_none(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", frames("yuv420p"))
    with VideoReader(film) as reader:
        assert all(alpha is None for *_, alpha in reader.cut_out())


def test_grey_is_mixed_by_the_share_of_alpha() -> None:
    rgb, alpha = np.full((1, 3, 3), 200, np.uint8), np.array([[0, 128, 255]], np.uint8)
    assert np.abs(over_backdrop(rgb, alpha)[0, :, 0].astype(int) - [BACKDROP, 164, 200]).max() <= 1
