"""Portraits that grin already or hide their mouth: a grin does not grow from ear to ear, and a mask shows no teeth."""

from dataclasses import replace

import numpy as np
import pytest

from engines.mesh.lips import LEAST_ROOM, TALLEST, WIDEST, GrinLimit, LipRig
from engines.mesh.motion import REST
from engines.mesh.renderer import MeshRenderer
from shared.face.landmarks import LIP_BOTTOM, MOUTH_CORNERS, SURFACE, Face
from tests.support.engines.mesh_material import avatar, masked_portrait

RIGHT, LEFT = MOUTH_CORNERS


def _grinning() -> Face:
    points = avatar().face.points.copy()
    points[LEFT, 0] += 0.05 * avatar().face.eye_distance
    points[RIGHT, 0] -= 0.05 * avatar().face.eye_distance
    points[LIP_BOTTOM, 1] += 0.1 * avatar().face.eye_distance
    return Face(points)


def _widened(face: Face, by: float) -> float:
    """Return the width of the mouth, in eye distances, when the driver's mouth becomes wider by `by`."""
    skin = np.zeros((SURFACE, 3), np.float32)
    skin[LEFT, 0], skin[RIGHT, 0] = by * face.eye_distance / 2, -by * face.eye_distance / 2
    held = GrinLimit(face).hold(skin, face.eye_distance)
    own = float(np.linalg.norm(face.points[LEFT] - face.points[RIGHT])) / face.eye_distance
    return own + float(held[LEFT, 0] - held[RIGHT, 0]) / face.eye_distance


def test_a_grin_does_not_grow_from_ear_to_ear() -> None:
    grin = _grinning()
    assert _widened(grin, 0.0) < _widened(grin, 0.02) < _widened(grin, 0.5) <= WIDEST + LEAST_ROOM
    opened = [LipRig(grin).part(np.zeros((SURFACE, 3), np.float32), replace(REST, lips=np.full(9, by, np.float32)))
              for by in (0.0, 0.02, 0.3)]  # fmt: skip
    gap = [float(each[LIP_BOTTOM, 1] - each[13, 1]) for each in opened]
    assert gap[0] < gap[1] < gap[2] and gap[2] - gap[0] < max(TALLEST - grin.mouth_opening, LEAST_ROOM) + 0.01


def test_another_portrait_moves_freely() -> None:
    assert _widened(avatar().face, 0.3) - _widened(avatar().face, 0.0) == pytest.approx(0.3, abs=1e-5)


def test_no_teeth_open_on_a_mask() -> None:
    masked = replace(avatar(), roi=masked_portrait((160, 200, 225)))
    renderer = MeshRenderer(masked)
    still, spoken = (renderer.draw(replace(REST, lips=np.full(9, by, np.float32))) for by in (0.0, 0.15))
    assert np.array_equal(still, spoken)
