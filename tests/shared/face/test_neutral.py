"""The neutral of a driver that does not begin at rest: a guess until a calm face comes."""

from dataclasses import replace

import numpy as np
import pytest

from shared.face.landmarks import LIP_BOTTOM, MOUTH_CORNERS, Face
from shared.face.mean_mouth import MEAN_WIDTH, with_mean_mouth
from shared.face.neutral import DOUBT, PATIENCE_US, NeutralChooser, tension
from shared.runtime.clock import US
from tests.support.engines.mesh_material import avatar

STEP_US = US // 25


@pytest.fixture(scope="module")
def grin() -> Face:
    """The face of the astronaut, who shows her teeth."""
    assert tension(avatar().face) > DOUBT
    return avatar().face


@pytest.fixture(scope="module")
def calm(grin: Face) -> Face:
    """The same face with closed lips, moved a little aside so that it differs from the guess."""
    return with_mean_mouth(replace(grin, points=grin.points + np.float32(3.0)))


def test_the_mean_mouth_is_closed_and_no_wider_than_others(grin: Face) -> None:
    rest = with_mean_mouth(grin)
    assert tension(rest) < 0.5
    right, left = MOUTH_CORNERS
    width = float(np.linalg.norm(rest.points[right] - rest.points[left])) / rest.eye_distance
    assert width == pytest.approx(MEAN_WIDTH, abs=0.01)
    kept = [33, 133, 362, 263, 10, 151, 6, 127, 356, 468, 473]  # eyes, forehead, bridge of the nose, temples, irises
    assert np.abs(rest.points[kept] - grin.points[kept]).max() < 1e-3
    again = with_mean_mouth(rest)
    assert np.abs(again.points - rest.points).max() < 0.02 * grin.eye_distance


def test_a_driver_who_grins_first_has_a_guess_until_a_calm_face_comes(grin: Face, calm: Face) -> None:
    chooser = NeutralChooser(guesses=True)
    guess = chooser.neutral_for(grin, 0)
    assert chooser.doubtful and tension(guess) < DOUBT
    assert chooser.neutral_for(grin, 4 * US // 2) is guess, "no better"
    assert chooser.neutral_for(calm, 3 * US) is calm and not chooser.doubtful, "beyond the first two seconds too"
    assert chooser.neutral_for(grin, 4 * US) is calm


def test_one_who_is_never_calm_has_a_face_like_that_and_the_doubt_stays(grin: Face, calm: Face) -> None:
    chooser = NeutralChooser(guesses=True)
    for pts in range(0, PATIENCE_US + STEP_US, US // 2):
        guess = chooser.neutral_for(grin, pts)
        assert guess is not grin
    assert chooser.neutral_for(grin, PATIENCE_US + STEP_US) is grin and chooser.doubtful
    assert chooser.neutral_for(calm, PATIENCE_US + 2 * STEP_US) is calm and not chooser.doubtful


def test_a_retake_ends_the_doubt(grin: Face) -> None:
    chooser = NeutralChooser(guesses=True)
    chooser.neutral_for(grin, 0)
    chooser.retake(grin)
    assert not chooser.doubtful and chooser.neutral_for(grin, STEP_US) is grin


def test_a_calm_driver_has_the_same_neutral_whether_guesses_are_made_or_not(calm: Face) -> None:
    chance = np.random.default_rng(3)
    faces = [Face((calm.points + chance.normal(0, 0.3, calm.points.shape)).astype(np.float32)) for _ in range(80)]
    with_guesses, without = NeutralChooser(guesses=True), NeutralChooser()
    for number, face in enumerate(faces):
        assert with_guesses.neutral_for(face, number * STEP_US) is without.neutral_for(face, number * STEP_US)
        assert not with_guesses.doubtful


def test_without_guesses_the_calmest_of_the_first_seconds_stays(grin: Face, calm: Face) -> None:
    wider = grin.points.copy()
    wider[LIP_BOTTOM, 1] += 0.1 * grin.eye_distance
    chooser = NeutralChooser()
    assert chooser.neutral_for(Face(wider), 0).points is wider
    assert chooser.neutral_for(grin, STEP_US) is grin and not chooser.doubtful
    assert chooser.neutral_for(calm, 3 * US) is grin


def test_a_neutral_that_was_chosen_holds_from_the_first_face_on_whenever_that_comes(grin: Face, calm: Face) -> None:
    chooser = NeutralChooser()
    chooser.choose(calm)
    assert chooser.neutral_for(grin, 20 * US) is calm
    again = NeutralChooser()
    again.restore(chooser.save())
    assert np.array_equal(again.neutral_for(grin, 21 * US).points, calm.points)
