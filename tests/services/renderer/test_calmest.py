"""The neutral of a whole driver: the calm face that comes late, wherever a segment begins."""

from collections.abc import Iterator

import numpy as np
import pytest

from engines.api import Driving
from services.renderer.pipeline import calmest
from services.renderer.pipeline.calmest import calmest_face
from services.renderer.pipeline.driver import TrackedTick
from shared.face.mean_mouth import with_mean_mouth
from shared.face.neutral import DOUBT, tension
from shared.media.array_types import ImageArray
from tests.support.engines.mesh_material import avatar, session

STEP_US = 40_000


@pytest.fixture(scope="module")
def grin() -> ImageArray:
    return avatar().roi


@pytest.fixture(scope="module")
def calm() -> ImageArray:
    """The same face with closed lips, as the engine draws it."""
    own = avatar().face
    (drawn,) = session().step(Driving(0, with_mean_mouth(own), own))
    return np.ascontiguousarray(drawn.pixels[..., :3])


class CountedTicks:
    """Ticks of these images; what was read of it is in `read`."""

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
