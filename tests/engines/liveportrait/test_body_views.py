"""A body video's own face is moved in its place.

Each plate frame is its own source, and nothing of it changes at rest.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from compositing.compose import Composer  # noqa: E402
from engines.body_source import BodySource  # noqa: E402
from engines.liveportrait.body_views import body_views  # noqa: E402
from engines.liveportrait.motion.face_crop import ratios  # noqa: E402
from engines.liveportrait.motion.recording import record_keypoints  # noqa: E402
from engines.liveportrait.session import LivePortraitSession  # noqa: E402
from engines.liveportrait.settings import LivePortraitSettings  # noqa: E402
from shared.avatar.model import Avatar  # noqa: E402
from tests.parity.liveportrait_loop import PortraitSource, video_run  # noqa: E402
from tests.support.engines.liveportrait_material import MS, driving, networks, swaying_body  # noqa: E402


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    return swaying_body(tmp_path_factory.mktemp("body"))


@cache
def settings() -> LivePortraitSettings:
    return LivePortraitSettings(source="body", stitching=False, close_lips=False, variance=0)


def test_the_square_under_the_roi_is_cut_out_and_fits_back_without_a_trace(body: Avatar) -> None:
    composer, plate = Composer(body), body.plate
    for index in range(len(plate)):
        roi = body_views(BodySource(plate, plate.index), index, np.eye(2, 3, dtype=np.float32))[0]
        shown = composer.compose(composer.background(index), index, roi, 1.0, own=True).frame
        assert np.abs(shown.astype(int) - plate.frame(index)).mean() < 0.5, "the light is matched, and it is its own"


def test_every_plate_frame_is_its_own_source_and_rests_where_it_is(body: Avatar) -> None:
    opened = LivePortraitSession(body, networks(), settings())
    opened.draws = False
    sources = []
    for i in range(len(body.plate)):
        opened.step(driving(i * 40 * MS, 0))
        assert np.allclose(opened._fade.shown, opened._portrait.points, atol=1e-5), "a driver at rest moves it"
        sources.append(opened._portrait.points)
    assert not np.array_equal(sources[0], sources[3])
    opened.step(driving(160 * MS, 6))
    assert not np.allclose(opened._fade.shown, opened._portrait.points, atol=1e-3)
    opened.draws = True
    frame = opened.step(driving(200 * MS, 6))[0].pixels
    assert frame.shape == (512, 512, 4) and opened.idle(240 * MS) == []


OPTIONS: tuple[dict[str, object], ...] = (
    {"eyes": True},
    {"lips": True},
    {"eyes": True, "lips": True, "relative": False, "stitching": False},
    {"close_lips": True, "steady_eyes": True},
    {"close_lips": False, "steady_eyes": False},
)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options))
def test_its_own_openings_count_as_the_originals_rules_for_a_source_video_have_it(
    options: dict[str, object], body: Avatar
) -> None:
    nets = networks()
    wanted = settings().model_copy(update={"stitching": True, **options})
    opened, count = LivePortraitSession(body, nets, wanted), len(body.plate)
    opened.draws = False
    script, sources, shown = [driving(i * 40 * MS, i) for i in range(count)], [], []
    for i, given in enumerate(script):
        opened.step(given)
        shown.append(opened._fade.shown.copy())
        assert body.plate.openings is not None and given.frame is not None
        own = ratios(body.plate.openings[i])
        sources.append(
            PortraitSource(given.frame, np.eye(2, 3, dtype=np.float32), opened._portrait.motion, torch.zeros(1), own)
        )
    template = record_keypoints(script, nets.read, 25)
    theirs = video_run(sources, template, wanted.rules(), nets.correctors(), variance=0.0)
    assert np.allclose(shown, theirs, atol=1e-5)
    if any(options.values()):
        without = LivePortraitSession(replace(body, plate=replace(body.plate, openings=None)), nets, wanted)
        without.draws = False
        for given in script:
            without.step(given)
        assert not np.allclose(without._fade.shown, theirs[-1], atol=1e-3), "the openings change nothing"


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
