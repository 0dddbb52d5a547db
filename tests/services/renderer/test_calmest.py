"""The neutral of a whole driver: a calm face that comes late counts for every segment."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.api import Driving
from services.renderer.job.units import STATE
from services.renderer.pipeline import calmest
from services.renderer.pipeline.calmest import calmest_face
from services.renderer.pipeline.driver import TrackedTick
from shared.avatar.build import add_avatar
from shared.avatar.samples import RIGHTS, SAMPLE
from shared.config.settings import Settings
from shared.face.landmarks import Face
from shared.face.mean_mouth import with_mean_mouth
from shared.face.neutral import DOUBT, tension
from shared.jobs.claims import made_file_name
from shared.jobs.graph import follow_name
from shared.jobs.store import LocalStore
from shared.media.array_types import ImageArray
from shared.media.reader import Mp4Writer
from shared.runtime.arrays import from_bytes, unpack_part
from shared.runtime.clock import US
from tests.support.engines.mesh_material import avatar, session
from tests.support.jobs.job_farm import JobFarm

STEP_US = 40_000


@pytest.fixture(scope="module")
def grin() -> ImageArray:
    return avatar().roi


@pytest.fixture(scope="module")
def calm() -> ImageArray:
    """The face of `grin` with closed lips, as the engine draws it."""
    own = avatar().face
    (drawn,) = session().step(Driving(0, with_mean_mouth(own), own))
    return np.ascontiguousarray(drawn.pixels[..., :3])


class CountedTicks:
    """Tracked ticks that show these images. read: how many were read."""

    def __init__(self, *images: ImageArray) -> None:
        self.images, self.read = images, 0

    def __call__(self, start: int, stop: int) -> Iterator[TrackedTick]:
        for tick in range(start, stop):
            self.read += 1
            yield tick * STEP_US, self.images[tick], True


def test_the_calm_face_at_the_end_is_found(grin: ImageArray, calm: ImageArray) -> None:
    face = calmest_face(CountedTicks(*[grin] * 12, *[calm] * 3), 15)
    assert face is not None and tension(face) < DOUBT


def test_a_driver_that_begins_calm_is_looked_at_once(grin: ImageArray, calm: ImageArray) -> None:
    film = CountedTicks(calm, *[grin] * 12)
    assert calmest_face(film, 13) is None and film.read == 1


def test_one_that_is_never_calm_keeps_its_own_face(grin: ImageArray) -> None:
    assert calmest_face(CountedTicks(*[grin] * 8), 8) is None


def test_the_first_segment_of_a_job_has_the_neutral_of_a_later_one(
    grin: ImageArray, calm: ImageArray, tmp_path: Path
) -> None:
    film = tmp_path / "grins.mp4"
    height, width = grin.shape[:2]
    with Mp4Writer(film, width, height, Fraction(US, STEP_US), sound=False) as writer:
        for number, shown in enumerate([grin] * 8 + [calm] * 4):
            writer.frame(np.asarray(cv2.cvtColor(shown, cv2.COLOR_RGB2YUV_I420), np.uint8), index=number)
    cv2.imwrite(str(tmp_path / "portrait.png"), cv2.resize(grin, (256, 256), interpolation=cv2.INTER_AREA)[..., ::-1])
    add_avatar(tmp_path, SAMPLE, tmp_path / "portrait.png", None, RIGHTS)
    settings = Settings(home=tmp_path, jobs=str(tmp_path / "jobs"), segment_seconds=0.32)
    farm = JobFarm(tmp_path, LocalStore(tmp_path / "jobs"), settings, tmp_path)
    job = farm.submit(film).id
    assert farm.worker().advance(job).outcome == "done"
    followed = farm.store.read(made_file_name(farm.store, job, follow_name(0), STATE))
    assert followed is not None
    follower = unpack_part("neutral", unpack_part("follower", from_bytes(followed)))
    assert tension(Face(np.asarray(follower["points"], np.float32))) < DOUBT


def test_one_without_a_face_is_none(grin: ImageArray) -> None:
    assert calmest_face(CountedTicks(*[np.zeros_like(grin)] * 4), 4) is None


def test_a_long_driver_is_looked_at_here_and_there(
    grin: ImageArray, calm: ImageArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calmest, "LOOKS", 4)
    film = CountedTicks(*[grin] * 60, *[calm] * 20)
    face = calmest_face(film, 80)
    assert face is not None and tension(face) < DOUBT
    assert film.read < 20
