"""The row of teeth drawn for a portrait that shows none."""

import numpy as np

from engines.mesh.teeth import COLOUR, DOWN, draw_row
from engines.mesh.topology import INNER_LOWER, INNER_UPPER
from shared.face.landmarks import LIP_BOTTOM, LIP_TOP, Face
from tests.support.engines.mesh_material import avatar

SKIN, LIGHT = np.array([190.0, 140.0, 120.0]), np.array([230.0, 190.0, 170.0])


def closed() -> Face:
    """The sample's face with its lips on one straight line."""
    points = avatar().face.points.copy()
    ends = points[INNER_UPPER[[0, -1]], :2]
    for row in (INNER_UPPER, INNER_LOWER):
        points[row, 1] = np.interp(points[row, 0], ends[:, 0], ends[:, 1])
    return Face(points)


def test_the_row_is_of_single_teeth_and_lost_in_the_corners() -> None:
    face = closed()
    row, (left, top) = draw_row(face, SKIN, LIGHT)
    middle = (face.points[LIP_TOP, :2] + face.points[LIP_BOTTOM, :2]) / 2
    line = row[round(float(middle[1])) - top].astype(float)
    shown = np.flatnonzero(line[:, 3] > 200)
    grey = line[shown, :3].mean(axis=1)
    dips = sum(grey[i] < grey[i - 3] - 4 and grey[i] < grey[i + 3] - 4 for i in range(3, len(grey) - 3))
    assert dips >= 4, "no teeth are told apart"
    near = np.abs(shown - (middle[0] - left)) < 0.05 * face.eye_distance
    assert grey[near].mean() > 1.15 * grey[[0, -1]].mean(), "the corners are as bright as the middle"
    assert row[0, :, 3].max() == 0 and row[-1, :, 3].max() == 0 and row[:, [0, -1], 3].max() == 0


def test_the_teeth_hang_below_the_lip_line_and_take_the_faces_light() -> None:
    face = closed()
    lit, (left, top) = draw_row(face, SKIN, LIGHT)
    dim, _ = draw_row(face, SKIN / 2, LIGHT / 2)
    middle = (face.points[LIP_TOP, :2] + face.points[LIP_BOTTOM, :2]) / 2
    column = lit[:, round(float(middle[0])) - left]
    bottom = top + np.flatnonzero(column[:, 3] > 128)[-1] - middle[1]
    assert 0.5 * DOWN < bottom / face.eye_distance < 1.5 * DOWN
    assert (
        np.median(dim[lit[..., 3] > 250], axis=0)[:3].sum() < 0.6 * np.median(lit[lit[..., 3] > 250], axis=0)[:3].sum()
    )
    assert lit[..., :3].max() <= 240 and (COLOUR < 1).all()
