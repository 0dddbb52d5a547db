"""The mesh engine's frames follow the driver, measured by tracking them again."""

import numpy as np
import pytest

from engines.api import Driving
from engines.mesh.motion import REST
from engines.mesh.renderer import INNER
from harness.faces.following import FPS, MOVES, compare_following, still_jitter
from shared.face.scripted import SCRIPT_S, Gesture, perform
from tests.support.engines.mesh_material import avatar, frame, session, tracked

pytestmark = pytest.mark.apart

STEP_FRAMES = 2  # every other frame of the script


def test_every_signal_of_a_performance_comes_through() -> None:
    opened, face = session(), avatar().face
    faces = [perform(face, i / FPS) for i in range(0, round(SCRIPT_S * FPS), STEP_FRAMES)]
    frames = [
        opened.step(Driving(i * STEP_FRAMES * 1_000_000 // FPS, each, face))[0].pixels for i, each in enumerate(faces)
    ]
    for name, figures in compare_following(faces, frames).items():
        assert figures["moves"], f"the script hardly moves {name}"
        assert figures["correlation"] >= 0.9, (name, figures)
        assert 0.7 <= figures["gain"] <= 1.3, (name, figures)
    assert set(MOVES) == set(compare_following(faces[:2], frames[:2]))


@pytest.mark.parametrize("yaw", [-25, 25])
@pytest.mark.parametrize("pitch", [-12, 12])
def test_a_turned_head_has_neither_holes_nor_folds(yaw: float, pitch: float) -> None:
    opened = session()
    map_x = opened._renderer._map[0]
    map_x[INNER] = np.nan
    opened._renderer.render(REST.with_turn(yaw, pitch, 6))
    assert np.isfinite(map_x).all(), "pixels under no triangle"
    # a fold of the cheek would send neighbouring pixels of the near half of the face backwards
    face = avatar().face.points
    left, right = (40, 210) if yaw > 0 else (300, 470)
    rows = slice(int(face[6, 1]), int(face[2, 1]))
    assert (np.diff(map_x[rows, left:right], axis=1) > -0.5).mean() > 0.995
    assert np.sign(tracked(frame(opened, Gesture(yaw=yaw))).pose.yaw) == np.sign(yaw)


def test_eyes_close() -> None:
    opened = session()
    openings = [sum(tracked(frame(opened, Gesture(blink=b))).eye_openings) for b in (0.0, 1.0)]
    assert openings[1] < 0.5 * openings[0]


def test_a_closed_lid_shows_no_white() -> None:
    pixels = frame(session(), Gesture(blink=1.0))
    points = avatar().face.points[:, :2]
    for ring in ((160, 158, 153, 144), (385, 387, 373, 380)):
        low, high = points[list(ring)].min(axis=0).astype(int), points[list(ring)].max(axis=0).astype(int) + 1
        eye = pixels[low[1] : high[1], low[0] : high[0]].astype(float)
        white = (eye.min(axis=2) > 175) & (np.ptp(eye, axis=2) < 25)
        assert white.mean() < 0.02


def test_the_jaw_is_kept_out_of_the_pitch() -> None:
    opened = session()
    closed, wide = (tracked(frame(opened, Gesture(mouth=m))) for m in (0.0, 1.0))
    assert wide.mouth_opening - closed.mouth_opening > 0.1
    assert abs(wide.pose.pitch - closed.pose.pitch) < 3.0


def test_a_driver_who_closes_beyond_neutral_closes_a_smiling_mouth() -> None:
    opened, face = session(), avatar().face
    smiling = tracked(frame(opened, Gesture())).mouth_opening
    motion = REST.__class__.from_flat(REST.flat())
    motion.seal[:] = 0.0
    closed = tracked(opened._renderer.render(motion)).mouth_opening
    assert smiling > 0.08 and face.mouth_opening > 0.08
    assert closed < 0.4 * smiling


def test_the_gaze_moves_the_iris_and_not_the_lids() -> None:
    opened = session()
    ahead, aside = (tracked(frame(opened, Gesture(look_x=x))) for x in (0.0, 1.0))
    moved = (aside.points - ahead.points)[[468, 473], 0].mean()
    assert moved > 1.5
    assert np.abs((aside.points - ahead.points)[[33, 133, 263, 362], 0]).mean() < 0.5 * moved


def test_a_still_driver_gives_a_still_frame() -> None:
    assert still_jitter(avatar(), frames=30) < 0.3
