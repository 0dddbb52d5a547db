"""Portraits stored in any quarter turn are turned upright by the face."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.avatar.samples import astronaut
from shared.face.upright import quarters_to_upright, turned

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    return np.asarray(astronaut(), np.uint8)


@pytest.mark.parametrize("lying", range(4))
def test_a_portrait_is_turned_upright(portrait: NDArray[np.uint8], lying: int) -> None:
    stored = turned(portrait, lying)
    assert quarters_to_upright(stored) == -lying % 4
    assert np.array_equal(turned(stored, -lying), portrait)


@pytest.mark.parametrize("lying", range(4))
def test_a_small_face_in_a_large_image_is_turned_too(portrait: NDArray[np.uint8], lying: int) -> None:
    large = np.full((2400, 3200, 3), 120, np.uint8)
    height, width = portrait.shape[:2]
    large[300 : 300 + height, 1900 : 1900 + width] = portrait
    assert quarters_to_upright(turned(large, lying)) == -lying % 4


@pytest.mark.parametrize("degrees", [-40, -20, 20, 40])
def test_a_face_that_leans_stays(portrait: NDArray[np.uint8], degrees: float) -> None:
    height, width = portrait.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    leaning = np.asarray(cv2.warpAffine(portrait, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    assert quarters_to_upright(leaning) == 0


def test_an_image_without_a_face_stays() -> None:
    assert quarters_to_upright(np.full((300, 200, 3), 90, np.uint8)) == 0


def test_a_turn_after_which_it_leans_more_is_not_made(
    portrait: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    height, width = portrait.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 36, 1.0)
    leaning = np.asarray(cv2.warpAffine(portrait, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    scores = iter([0.7, 0.9, 0.0, 0.0])  # scores as it is, and after one to three quarter turns
    monkeypatch.setattr("shared.face.upright._best", lambda *_: next(scores))
    assert quarters_to_upright(leaning) == 0
