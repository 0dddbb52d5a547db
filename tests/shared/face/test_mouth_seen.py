"""Faults of a portrait's mouth are noticed when it is added: masks, grins, and lips beyond the image."""

import numpy as np
import pytest

from shared.face.features import MOUTH
from shared.face.landmarks import Face
from shared.face.mouth_seen import mouth_covered, mouth_notes
from tests.support.engines.mesh_material import avatar, masked_portrait


@pytest.mark.parametrize("colour", [(160, 200, 225), (240, 240, 240), (25, 25, 28), (90, 140, 90)])
def test_a_mask_is_seen_and_said(colour: tuple[int, int, int]) -> None:
    image = masked_portrait(colour)
    assert mouth_covered(image, avatar().face)
    (note,) = mouth_notes(image, avatar().face, "me.jpg")
    assert "me.jpg" in note and "covered" in note


def test_a_bare_face_is_none_in_any_light() -> None:
    roi = avatar().roi.astype(np.float32)
    grey = np.repeat(roi.mean(axis=2, keepdims=True), 3, axis=2)
    for image in (roi, roi * 0.35, np.minimum(roi * 1.4, 255), grey, roi * (0.8, 0.9, 1.0), roi * (1.0, 0.85, 0.6)):
        assert not mouth_covered(np.asarray(image, np.uint8), avatar().face)
    assert mouth_notes(avatar().roi, avatar().face, "me.jpg") == []


def test_a_grin_and_an_open_mouth_are_said() -> None:
    points = avatar().face.points.copy()
    open_mouth, wide = points.copy(), points.copy()
    open_mouth[14, 1] += 0.2 * avatar().face.eye_distance
    wide[291, 0] += 0.2 * avatar().face.eye_distance
    (said,) = mouth_notes(avatar().roi, Face(open_mouth), "me.jpg")
    assert "open mouth" in said
    (said,) = mouth_notes(avatar().roi, Face(wide), "me.jpg")
    assert "grins" in said


def test_lips_beyond_the_image_are_said() -> None:
    low = avatar().face.points.copy()
    low[:, 1] += avatar().roi.shape[0] - low[list(MOUTH), 1].mean()
    (said,) = mouth_notes(avatar().roi, Face(low), "me.jpg")
    assert "outside the image" in said
