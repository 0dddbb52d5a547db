"""The old network on a filmed body: its input, the placement of its output, and when it may go on air.

`test_networks` compares the network's numbers with the original's; here the network returns the face in its input.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.api import SessionContext  # noqa: E402
from engines.dhlive.asset.film import read_mean_face  # noqa: E402
from engines.dhlive.asset.film_crops import film_crop  # noqa: E402
from engines.dhlive.file_names import MEAN_FACE  # noqa: E402
from engines.dhlive.networks.old import OldNetwork  # noqa: E402
from engines.dhlive.old.engine import OldDhliveEngine  # noqa: E402
from engines.dhlive.old.face import FILE, OldFace, read_points  # noqa: E402
from engines.dhlive.old.images import holed, in_crop, mouth_laid, reference, rim  # noqa: E402
from engines.dhlive.old.points import JAW, LIPS_OUTER  # noqa: E402
from shared.errors import StudioError  # noqa: E402
from shared.media.array_types import ImageArray  # noqa: E402
from tests.support.engines.dhlive_material import BODY_FRAMES, OldStandIn, filmed, stand_ins  # noqa: E402

pytestmark = pytest.mark.apart


@pytest.fixture(scope="module", autouse=True)
def mirror() -> Iterator[None]:
    """Let the network return its input."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OldNetwork, "person", lambda self, references: references)
        patch.setattr(OldNetwork, "forward", lambda self, source, prompt, person: source)
        yield


@cache
def face() -> OldFace:
    avatar = filmed()
    points = read_points(avatar.engine_file("dhlive_old", FILE), BODY_FRAMES, avatar.name)
    return OldFace.placed(points, read_mean_face(stand_ins()[MEAN_FACE]), avatar.plate.width, avatar.plate.height, "a")


def crop(frame: int) -> ImageArray:
    return film_crop(filmed().plate, frame, face().rects[frame], 256)


def test_the_hole_covers_lips_and_chin_and_nothing_above_the_nose() -> None:
    image = holed(np.full((256, 256, 3), 200, np.uint8), face(), 3)
    points = in_crop(face().points[3], face().rects[3])
    black = (image == 0).all(axis=2)
    for point in (*LIPS_OUTER, JAW[10]):
        x, y = points[point].astype(int)
        assert black[y, x], point
    nose = int(points[2, 1])
    assert black[nose + 2 :, 100:156].any() and not black[: int(points[6, 1])].any()
    assert 0.1 < black.mean() < 0.5


def test_the_mouth_image_lies_on_the_lips_with_its_contrast_spread() -> None:
    steps = np.zeros((15, 30, 3), np.uint8)
    steps[:, :15], steps[:, 15:] = 100, 130
    laid = mouth_laid(steps, face(), 3)
    lips = in_crop(face().points[3], face().rects[3])[LIPS_OUTER]
    row, column = np.nonzero((laid[..., 0] == laid[..., 1]) & (laid[..., 0] > 0))
    levels = np.bincount(laid[row, column, 0], minlength=256)
    for level in (95, 159):  # 15 either side of the mean become 32 either side of the middle
        assert levels[level - 4 : level + 5].sum() > 0.1 * len(row), levels
    assert np.abs([column.mean(), row.mean()] - (lips.min(axis=0) + lips.max(axis=0)) / 2).max() < 6
    assert (laid == (0, 255, 0)).all(axis=2).any(), "nose and eyes are drawn"


def test_references_are_five_frames_of_open_mouths_with_their_lines() -> None:
    chosen = face().references()
    assert len(chosen) == 5 and chosen == face().references()
    image = reference(crop(chosen[0]), face(), chosen[0])
    assert image.shape == (256, 256, 6) and np.array_equal(image[..., :3], crop(chosen[0]))
    lines = {tuple(colour) for colour in image[..., 3:].reshape(-1, 3)}
    assert lines == {(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)}


def test_the_drawn_face_fades_out_towards_its_edges() -> None:
    shown = rim()
    assert shown[128, 128] == 255 and shown[0, 128] == 8 and shown[128, 19] == 255 and shown[128, 10] == 138
    assert np.array_equal(shown, shown.T) and np.array_equal(shown, shown[::-1])


def test_what_is_drawn_lies_where_it_was_filmed() -> None:
    """A network that returns the holed face draws the film, except for the hole, in the film's own colours."""
    avatar = filmed()
    session = OldStandIn().open(avatar, SessionContext(plate_at=lambda pts: 7))
    frame = session.idle(0)[0]
    assert frame.plate == 7 and frame.pixels.shape == (512, 512, 4)
    shown = frame.pixels[..., 3] == 255
    film = np.asarray(cv2.warpAffine(crop(7), _to_roi(7), (512, 512)), np.int16)
    apart = np.abs(frame.pixels[..., :3].astype(np.int16) - film).max(axis=2)
    dark = frame.pixels[..., :3].max(axis=2) < 40
    assert np.percentile(apart[shown & ~dark], 95) < 24 and 0.1 < dark[shown].mean() < 0.6


def _to_roi(frame: int) -> Any:
    from engines.dhlive.asset.film_crops import crop_to_roi

    return crop_to_roi(filmed().plate, frame, face().rects[frame], 256)


def test_it_goes_on_air_on_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert OldDhliveEngine().info.modes == {"offline"}
    monkeypatch.setenv("STUDIO_DHLIVE_OLD_DEVICE", "cuda:0")
    assert OldDhliveEngine().info.modes == {"live", "offline"}


def test_points_of_another_film_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="has not been prepared"):
        read_points(tmp_path / FILE, 3, "a")
    np.savez(tmp_path / FILE, points=np.zeros((2, 478, 3)))
    with pytest.raises(StudioError, match="measured in another film"):
        read_points(tmp_path / FILE, 3, "a")
    (tmp_path / FILE).write_bytes(b"damaged")
    with pytest.raises(StudioError, match="cannot be read"):
        read_points(tmp_path / FILE, 3, "a")
