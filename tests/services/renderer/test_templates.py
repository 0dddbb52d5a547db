"""Recorded motion as a driver.

Rendered at its own rate without sound, in segments as in one run, and one sentence for a file that is no template.
"""

from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cli.live import scene_driver_for_file
from engines.api import Driving
from engines.catalog import check_driver_template
from engines.liveportrait.motion.template import LivePortraitTemplate, TemplateFrame
from services.renderer.job.record_motion import record_motion
from services.renderer.pipeline.driver import template_driven_faces
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.jobs.store import LocalStore
from shared.media.output_spec import OutputSpec
from shared.media.reader import Mp4Writer
from tests.support.engines.job_engines import ENGINES
from tests.support.files.media_material import decoded, write_driver
from tests.support.jobs.template_farm import FRAMES, SEGMENT_S, TemplateFarm, published, template


@pytest.fixture
def farm(small_home: Path, tmp_path: Path) -> TemplateFarm:
    engines = ENGINES | {"narrow": "tests.support.engines.liveportrait_material:NarrowEngine"}
    jobs = tmp_path / "jobs"
    return TemplateFarm(
        small_home,
        LocalStore(jobs),
        Settings(home=small_home, jobs=str(jobs), engines=engines, segment_seconds=SEGMENT_S),
    )


@pytest.mark.parametrize("kind", ("npz", "pkl"))
def test_a_template_in_segments_shows_what_one_run_shows(farm: TemplateFarm, tmp_path: Path, kind: str) -> None:
    made, driver, whole = template(), tmp_path / f"motion.{kind}", tmp_path / "whole.mp4"
    made.save(driver) if kind == "npz" else published(driver, made)
    assert farm.render(driver, whole) == FRAMES
    stamps, frames = decoded(whole)
    assert stamps == [Fraction(2 * number, 25) for number in range(FRAMES)], "not at the template's rate"
    assert len(set(frames)) == FRAMES
    assert decoded(farm.result(farm.submit(driver))) == (stamps, frames)
    with av.open(str(whole)) as container:
        assert not container.streams.audio


def number_of(made: LivePortraitTemplate, tick: Driving) -> int:
    assert isinstance(tick.recorded, TemplateFrame)
    return next(number for number, motion in enumerate(made.motions) if motion is tick.recorded.motion)


def test_a_render_of_another_rate_shows_frames_again_or_leaves_some_out() -> None:
    made = template()
    for rate, numbers in ((Fraction(25), [0, 0, 1, 1, 2, 2]), (Fraction(25, 4), [1, 3, 5, 7])):
        ticks = list(islice(template_driven_faces(made, rate, 0, 100), len(numbers)))
        assert [number_of(made, tick) for tick in ticks] == numbers
    (last,) = template_driven_faces(made, Fraction(25), 99, 100)
    assert last.pts == 3_960_000 and number_of(made, last) == FRAMES - 1


def test_a_template_lasts_as_long_at_any_rate(farm: TemplateFarm, tmp_path: Path) -> None:
    template().save(tmp_path / "motion.npz")
    job = farm.submit(tmp_path / "motion.npz", output=OutputSpec.from_dict({"fps": "25"}))
    assert len(decoded(farm.result(job))[0]) == 2 * FRAMES


def damaged(path: Path) -> None:
    template().save(path)
    content = bytearray(path.read_bytes())
    for at in range(200, len(content) - 400, 7):
        content[at] ^= 0x5A
    path.write_bytes(content)


def foreign(path: Path) -> None:
    np.savez(path, frames=np.zeros(3))


@pytest.mark.parametrize("make", (damaged, foreign))
def test_a_file_that_is_no_template_is_one_sentence_and_no_job(farm: TemplateFarm, tmp_path: Path, make: Any) -> None:
    make(path := tmp_path / "motion.npz")
    with pytest.raises(StudioError, match=r"^motion\.npz is not a motion template; use one that .*\.$"):
        farm.submit(path)
    with pytest.raises(StudioError, match="is not a motion template"):
        farm.render(path, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists() and not list((tmp_path / "jobs").rglob("job.json"))


def test_an_engine_that_plays_no_templates_says_so(farm: TemplateFarm, tmp_path: Path) -> None:
    template().save(tmp_path / "motion.npz")
    for engine, title in (("mesh", "Mesh"), ("card", "Test card")):
        with pytest.raises(StudioError, match=f"{title}.* cannot play motion templates; .*studio engines"):
            farm.submit(tmp_path / "motion.npz", engine)
    with pytest.raises(StudioError, match="cannot play motion templates"):
        record_motion(tmp_path / "video.mp4", tmp_path / "out.npz", engine="mesh")


def test_live_takes_a_template_and_says_what_is_wrong_with_it_before_anything_starts(
    farm: TemplateFarm, tmp_path: Path
) -> None:
    template().save(tmp_path / "motion.npz")
    word = scene_driver_for_file(str(tmp_path / "motion.npz"))
    assert word == f"motion:{tmp_path / 'motion.npz'}"
    live = farm.settings.model_copy(update={"driver": word, "engine": "player"})
    check_driver_template(live)
    with pytest.raises(StudioError, match=r"Mesh warp cannot play motion templates; .*studio engines"):
        check_driver_template(live.model_copy(update={"engine": "mesh"}))
    foreign(tmp_path / "motion.npz")
    with pytest.raises(StudioError, match=r"^motion\.npz is not a motion template"):
        check_driver_template(live)
    check_driver_template(live.model_copy(update={"driver": "sample", "engine": "mesh"}))


def test_a_motion_is_recorded_from_video_and_played(farm: TemplateFarm, tmp_path: Path) -> None:
    """The real engine, with narrow networks, records frames of the sample driver and renders them."""
    pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")
    count, video, kept = 4, tmp_path / "video.mp4", tmp_path / "motion.npz"
    with av.open(str(farm.home / "drivers" / "sample.mp4")) as source:
        shots = [frame.to_ndarray(format="yuv420p") for frame in islice(source.decode(video=0), 0, 9 * count, 9)]
    with Mp4Writer(video, shots[0].shape[1], shots[0].shape[0] * 2 // 3, Fraction(10), sound=False) as writer:
        for number, shot in enumerate(shots):
            writer.frame(np.asarray(shot, np.uint8), index=number)
    told: list[tuple[int, int]] = []
    done = record_motion(
        video, kept, engine="narrow", engines=farm.settings.engines, progress=lambda *how: told.append(how)
    )
    assert done == count and told == [(number, count) for number in range(1, count + 1)]
    farm.settings.segment_seconds = 0.2
    assert farm.render(kept, tmp_path / "whole.mp4", "narrow") == count
    stamps, frames = decoded(tmp_path / "whole.mp4")
    assert stamps[1] == Fraction(1, 10) and len(set(frames)) == count
    assert decoded(farm.result(farm.submit(kept, "narrow"))) == (stamps, frames)


def test_what_cannot_be_recorded_is_one_sentence_and_leaves_nothing(farm: TemplateFarm, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")
    faceless = write_driver(tmp_path / "faceless.mp4", frames=3)
    heard = write_driver(tmp_path / "heard.m4a", sound=0.5)
    for driver, out, says in (
        (faceless, "motion.npz", "No face was found"),
        (heard, "motion.npz", "heard.m4a has no frames"),
        (faceless, "motion.pkl", "ends in .npz"),
        (faceless, "nowhere/motion.npz", "cannot be written"),
    ):
        with pytest.raises(StudioError, match=says):
            record_motion(driver, tmp_path / out, engine="narrow", engines=farm.settings.engines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faceless.mp4", "heard.m4a"]
