"""Which part of a portrait is its face, checked on a painted face of one colour whose answer is known."""

import cv2
import numpy as np

from shared.avatar.mask import moving_matte
from shared.avatar.portrait_skin import STEP, PortraitSkin
from shared.face.landmarks import OVAL
from tests.support.engines.mesh_material import avatar

SKIN = (190, 150, 130)


def painted() -> PortraitSkin:
    """Return a face that is all skin but its mouth, with a dark hat over a third of the forehead."""
    face = avatar().face
    roi = np.full((512, 512, 3), (60, 90, 160), np.uint8)
    cv2.fillConvexPoly(roi, cv2.convexHull(np.rint(face.points[OVAL, :2]).astype(np.int32)), SKIN)
    x, y = hat()
    roi[y - 20 : y + 20, x - 20 : x + 20] = (30, 20, 15)
    left, top = face.points[[13, 14], :2].mean(axis=0).round().astype(int)
    roi[top - 6 : top + 6, left - 12 : left + 12] = (90, 10, 10)
    return PortraitSkin(roi, face)


def hat() -> tuple[int, int]:
    x, y = avatar().face.points[[67, 69, 109], :2].mean(axis=0)
    return round(float(x)), round(float(y)) - 4


def at(matte: np.ndarray, x: float, y: float) -> int:
    return int(matte[round(y / STEP), round(x / STEP)])


def test_a_hat_and_the_background_are_no_face_and_a_mouth_is() -> None:
    skin, points = painted(), avatar().face.points
    assert at(skin.matte, *hat()) < 10
    assert at(skin.matte, 10, 10) < 10
    for point in (13, 50, 280, 1, 33, 263):  # mouth, cheeks, nose, eyes
        assert at(skin.matte, *points[point, :2]) > 245, point


def test_the_matte_goes_where_the_face_goes() -> None:
    skin, face = painted(), avatar().face
    turned = np.array([[0.97, -0.2, 60.0], [0.2, 0.97, -30.0]])
    x, y = turned[:, :2] @ hat() + turned[:, 2]
    assert at(skin.moved(face.moved(turned)), x, y) < 10
    assert np.abs(skin.moved(face).astype(int) - skin.matte).max() <= 1


def test_a_moving_matte_leaves_out_what_is_no_face() -> None:
    everywhere, face = np.full((512, 512), 255, np.uint8), avatar().face
    x, y = hat()
    assert moving_matte(face, everywhere)[y, x] > 100
    assert moving_matte(face, everywhere, painted())[y, x] < 10
