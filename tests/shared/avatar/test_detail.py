"""Detail of a face that drawing removes is restored, as far as it is visible."""

import cv2
import numpy as np
import pytest

from shared.avatar.detail import WANTED, relative_detail, sharpened_for_drawing
from shared.media.array_types import ImageArray
from tests.support.engines.mesh_material import avatar


def blurred(image: ImageArray) -> ImageArray:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.9), np.uint8)


def barely_blurred(image: ImageArray) -> ImageArray:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5), np.uint8)


def as_it_is(image: ImageArray) -> ImageArray:
    return image


def test_a_face_that_drawing_blurs_has_its_detail_again() -> None:
    roi, face = avatar().roi, avatar().face
    own = relative_detail(roi, face)
    assert relative_detail(blurred(roi), face) < 0.85 * own  # otherwise there is no loss to restore
    given_back = blurred(sharpened_for_drawing(roi, face, blurred, face, 1.0))
    assert relative_detail(given_back, face) == pytest.approx(WANTED * own, rel=0.03)


def test_what_is_not_lost_or_not_seen_is_left_alone() -> None:
    roi, face = avatar().roi, avatar().face
    assert sharpened_for_drawing(roi, face, as_it_is, face, 1.0) is roi
    assert sharpened_for_drawing(roi, face, barely_blurred, face, 1.0) is not roi
    assert (
        sharpened_for_drawing(roi, face, barely_blurred, face, 0.3) is roi
    )  # at that size the lost detail is not visible
