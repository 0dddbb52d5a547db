"""A body video's own face is moved where it is: each plate frame is its own source, and nothing of it changes at rest."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from services.compositor.blend import Blender  # noqa: E402
from services.generator.engines.liveportrait.body import plate_views  # noqa: E402
from services.generator.engines.liveportrait.session import LivePortraitSession  # noqa: E402
from services.generator.engines.liveportrait.settings import LivePortraitSettings  # noqa: E402
from shared.avatar import Avatar  # noqa: E402
from shared.plate import Plate, save_index  # noqa: E402
from tests.generator.liveportrait_material import MS, avatar, driving, networks  # noqa: E402

FRAMES, SIZE = 4, (640, 720)


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    """A body that sways: the portrait's face on a plate of four frames, each with a light of its own."""
    folder = tmp_path_factory.mktemp("body")
    jpegs, placements = [], []
    for i in range(FRAMES):
        placement = np.array([[0.8, -0.02 * i, 60.0 + 12 * i], [0.02 * i, 0.8, 90.0]])
        frame = cv2.warpAffine(avatar().roi, placement, SIZE, borderMode=cv2.BORDER_REPLICATE)
        jpegs.append(cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
        placements.append(placement)
    (folder / "plate.mjpg").write_bytes(b"".join(jpegs))
    save_index(
        folder, width=SIZE[0], height=SIZE[1], fps=25, sizes=[len(jpeg) for jpeg in jpegs],
        placements=np.stack(placements), gains=np.full((FRAMES, 3), 0.9), offsets=np.full((FRAMES, 3), 4.0),
    )  # fmt: skip
    return replace(avatar(own_plate=False), plate=Plate.load(folder))


@cache
def settings() -> LivePortraitSettings:
    return LivePortraitSettings(source="body", stitching=False, variance=0)


def test_the_square_under_the_roi_is_cut_out_and_fits_back_without_a_trace(body: Avatar) -> None:
    for index in range(FRAMES):
        roi = plate_views(body.plate, index, np.eye(2, 3, dtype=np.float32))[0]
        program = body.plate.frame(index).copy()
        plate = body.plate
        Blender(body.mask).place(program, roi, plate.placements[index], plate.gains[index], plate.offsets[index])
        assert np.abs(program.astype(int) - body.plate.frame(index)).mean() < 0.5, "the light is matched twice"


def test_every_plate_frame_is_its_own_source_and_rests_where_it_is(body: Avatar) -> None:
    opened = LivePortraitSession(body, networks(), settings())
    opened.draws = False
    sources = []
    for i in range(FRAMES):
        opened.step(driving(i * 40 * MS, 0))
        assert np.allclose(opened._fade.shown, opened._portrait.points, atol=1e-5), "a driver at rest moves it"
        sources.append(opened._portrait.points)
    assert not np.array_equal(sources[0], sources[3])
    opened.step(driving(160 * MS, 6))
    assert not np.allclose(opened._fade.shown, opened._portrait.points, atol=1e-3)
    opened.draws = True
    frame = opened.step(driving(200 * MS, 6))[0].pixels
    assert frame.shape == (512, 512, 4) and opened.idle(240 * MS) == []


def test_segments_of_a_moved_body_are_those_of_the_whole(body: Avatar, tmp_path: Path) -> None:
    nets, smooth = networks(), settings().model_copy(update={"variance": 1e-5})
    whole, rest = LivePortraitSession(body, nets, smooth), LivePortraitSession(body, nets, smooth)
    whole.draws = rest.draws = False
    for i in range(3):
        whole.step(driving(i * 40 * MS, i))
    rest.restore(whole.save())
    for i in range(3, 6):
        given = driving(i * 40 * MS, None if i == 4 else i)
        whole.step(given)
        rest.step(given)
        assert np.array_equal(whole._fade.shown, rest._fade.shown)
    whole.draws = rest.draws = True
    given = driving(240 * MS, 6)
    assert np.array_equal(whole.step(given)[0].pixels, rest.step(given)[0].pixels)
