"""Frames that a render draws in batches are the same to the bit wherever a segment begins.

Frames that are drawn one by one are the same except for rounding.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.api import Driving, RoiFrame  # noqa: E402
from engines.liveportrait import portrait  # noqa: E402
from engines.liveportrait.session import LivePortraitSession  # noqa: E402
from engines.liveportrait.settings import LivePortraitSettings  # noqa: E402
from services.renderer.pipeline.engine_run import EngineRun  # noqa: E402
from shared.avatar.model import Avatar  # noqa: E402
from shared.config.settings import Settings  # noqa: E402
from shared.jobs.store import LocalStore  # noqa: E402
from tests.support.engines.liveportrait_material import MS, avatar, driving, networks, swaying_body  # noqa: E402
from tests.support.files.media_material import decoded  # noqa: E402
from tests.support.jobs.template_farm import SEGMENT_S, TemplateFarm, template  # noqa: E402

SIZE = 4
FACELESS = (3, 4)  # ticks without a face
COUNT = 6


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the number of frames in each batch that is drawn."""
    sizes: list[int] = []
    draw = portrait.PortraitRenderer.draw

    def counted(self: portrait.PortraitRenderer, shots: list[portrait.DrivenShot]) -> NDArray[Any]:
        sizes.append(len(shots))
        return draw(self, shots)

    monkeypatch.setattr(portrait.PortraitRenderer, "draw", counted)
    return sizes


def ticks(start: int, stop: int) -> Iterator[Driving]:
    for i in range(start, stop):
        yield driving(i * 40 * MS, None if i in FACELESS else i)


def frames(of: Avatar, source: str, batch: int, first: int = 0) -> list[RoiFrame | int]:
    """Return the frames of a render in two segments: to tick `first`, and from there to the end."""
    settings = LivePortraitSettings(source=source)
    run = EngineRun(LivePortraitSession(of, networks(), settings, batch=batch), idle_after=0)
    return [frame for span in ((0, first), (first, COUNT)) for frame in run.motion(ticks(*span))]


def content(shown: list[RoiFrame | int]) -> list[tuple[int, bytes]]:
    return [(each.pts, each.pixels.tobytes()) if isinstance(each, RoiFrame) else (each, b"") for each in shown]


def alike(a: list[RoiFrame | int], b: list[RoiFrame | int]) -> bool:
    """Whether two runs have the same frames, except for single grey levels."""
    both = zip(content(a), content(b), strict=True)
    pairs = [(np.frombuffer(x, np.uint8).astype(int), np.frombuffer(y, np.uint8)) for (_, x), (_, y) in both]
    same = [x[0] for x in content(a)] == [y[0] for y in content(b)]
    return same and all(len(x) == len(y) and np.abs(x - y).max(initial=0) <= 1 for x, y in pairs)


def test_a_batch_shows_what_single_frames_show(drawn: list[int]) -> None:
    """Some of them are frames in which the host waits."""
    single = frames(avatar(), "portrait", 1)
    assert set(drawn) == {1} and len(single) == COUNT == len(set(content(single)))
    drawn.clear()
    whole = frames(avatar(), "portrait", SIZE)
    assert drawn == [SIZE, SIZE] and alike(whole, single)
    drawn.clear()
    assert content(frames(avatar(), "portrait", SIZE, first=2)) == content(whole)
    assert drawn == [SIZE] * 3, "a frame's place in its batch does not follow from its time"


def test_a_moved_body_is_drawn_in_batches_each_frame_from_its_own_image(tmp_path: Path, drawn: list[int]) -> None:
    body = swaying_body(tmp_path)
    single = frames(body, "body", 1)
    assert [each // (40 * MS) for each in single if not isinstance(each, RoiFrame)] == list(FACELESS)
    drawn.clear()
    whole = frames(body, "body", SIZE)
    assert alike(whole, single) and content(frames(body, "body", SIZE, first=1)) == content(whole)
    assert set(drawn) == {SIZE}


def test_live_nothing_is_held_back(drawn: list[int]) -> None:
    opened = LivePortraitSession(avatar(), networks(), LivePortraitSettings(), batch=SIZE)
    assert [frame.pts for frame in opened.step(driving(0, 0))] == [0] and drawn == [1]


def test_what_a_render_broke_off_does_not_come_out_of_the_next() -> None:
    opened = LivePortraitSession(avatar(), networks(), LivePortraitSettings(), batch=SIZE)
    run = EngineRun(opened, idle_after=0)

    def broken() -> Iterator[Driving]:
        yield from ticks(0, 2)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        list(run.motion(broken()))
    opened.reset()
    assert [frame.pts for frame in opened.step(driving(0, 0)) if frame.pixels.size] == [0], "it still waits"
    assert len(list(run.motion(ticks(0, 2)))) == 2


def test_a_job_in_segments_shows_what_one_run_shows(
    live_home: Path, tmp_path: Path, drawn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_LIVEPORTRAIT_BATCH", str(SIZE))
    engines = {"narrow": "tests.support.engines.liveportrait_material:NarrowEngine"}
    jobs, driver, count = tmp_path / "jobs", tmp_path / "motion.npz", 7
    settings = Settings(home=live_home, jobs=str(jobs), engines=engines, segment_seconds=SEGMENT_S)
    farm = TemplateFarm(live_home, LocalStore(jobs), settings)
    template(count).save(driver)
    assert farm.render(driver, tmp_path / "whole.mp4", "narrow") == count
    whole = decoded(tmp_path / "whole.mp4")
    assert len(set(whole[1])) == count and decoded(farm.result(farm.submit(driver, "narrow"))) == whole
    assert drawn == [SIZE] * 6, (
        "five frames in one segment and two in the other, of an engine that draws four at a time"
    )
