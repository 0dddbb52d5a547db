"""Similarities: exact where exact is possible, quiet at rest and without lag in motion."""

import numpy as np
import pytest

from shared.face import similarity


def make(scale: float, degrees: float, x: float, y: float) -> similarity.SimilarityMatrix:
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


def test_fit_recovers_a_known_similarity() -> None:
    points = np.random.default_rng(1).uniform(0, 512, (40, 2))
    wanted = make(0.37, -12.0, 300.25, 81.5)
    assert np.allclose(similarity.fit(points, similarity.apply_similarity(wanted, points)), wanted, atol=1e-9)


def test_fit_ignores_points_of_no_weight() -> None:
    points = np.random.default_rng(2).uniform(0, 512, (10, 2))
    target = similarity.apply_similarity(make(2.0, 5.0, 1.0, 2.0), points)
    target[3] += 100
    weights = np.ones(10)
    weights[3] = 0
    assert np.allclose(similarity.fit(points, target, weights), make(2.0, 5.0, 1.0, 2.0))


def test_fit_never_mirrors() -> None:
    points = np.random.default_rng(3).uniform(-1, 1, (20, 2))
    assert np.linalg.det(similarity.fit(points, points * [-1, 1])[:, :2]) >= 0


def test_fit_of_coinciding_points_is_refused() -> None:
    with pytest.raises(ValueError, match="coincide"):
        similarity.fit(np.ones((4, 2)), np.ones((4, 2)))


def test_invert_and_compose_undo_each_other() -> None:
    matrix = make(0.7, 33.0, -5.0, 9.0)
    assert np.allclose(similarity.compose(similarity.invert(matrix), matrix), np.eye(2, 3))


def test_resizing_keeps_the_image_corner_to_corner() -> None:
    # The outer corner of the first pixel is at -0.5 before and after.
    assert np.allclose(
        similarity.apply_similarity(similarity.resize_matrix(0.25, 3.0), [(-0.5, -0.5), (7.5, 1.5)]),
        [(-0.5, -0.5), (1.5, 5.5)],
    )


def test_smoothing_quiets_a_face_at_rest() -> None:
    noise = np.random.default_rng(4).normal(0, 0.3, (100, 2))
    still = np.array([make(0.5, 0.0, 100 + x, 50 + y) for x, y in noise])
    smoothed = similarity.smooth(still, 25.0, (256, 256), 130)
    assert smoothed[:, :, 2].std(axis=0).max() < 0.4 * still[:, :, 2].std(axis=0).min()


def test_smoothing_follows_motion_without_lag() -> None:
    at = np.arange(100)
    moving = np.array(
        [make(0.5 * (1 + 0.1 * np.sin(t / 12)), 8 * np.sin(t / 10), 100 + 60 * np.sin(t / 9), 50) for t in at]
    )
    smoothed = similarity.smooth(moving, 25.0, (256, 256), 130)
    centres = [np.array([similarity.apply_similarity(m, [(256, 256)])[0] for m in each]) for each in (moving, smoothed)]
    assert np.abs(centres[0] - centres[1])[3:-3].max() < 0.5


def test_smoothing_passes_short_clips_as_they_are() -> None:
    few = np.array([make(1, 0, x, 0) for x in range(3)], np.float64)
    assert np.array_equal(similarity.smooth(few, 25.0, (0, 0), 10), few)
