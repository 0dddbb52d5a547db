"""The mesh engine keeps the engines' contract: frames that are returned, held, eased, saved."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from engines.registry import load, load_frame_engine, names
from harness.faces.following import psnr
from shared.avatar.detail import relative_detail
from shared.errors import StudioError
from shared.face.rest_pose import turn_to_rest
from shared.face.scripted import Gesture, shape
from tests.support.engines.mesh_material import MS, avatar, difference, driving, frame, session, tracked

TALKING = Gesture(yaw=9, pitch=4, roll=-3, mouth=0.7, brow=0.5)


def test_every_engine_loads_under_its_own_name() -> None:
    for name in names():
        engine = load(name)
        assert engine.info.name == name
        assert name != "mesh" or engine.probe() is None


def test_an_unknown_engine_is_one_sentence_naming_those_there_are() -> None:
    with pytest.raises(StudioError, match=r"no engine 'nonsense'.*mesh"):
        load("nonsense")


def test_a_neutral_driver_gives_the_portrait_back() -> None:
    pixels = frame(session(), Gesture())
    assert pixels.shape == (512, 512, 3) and pixels.dtype == np.uint8
    assert psnr(pixels, avatar().roi) >= 40


def test_a_body_of_its_own_gets_the_matte_of_the_moved_face() -> None:
    opened = session(own_plate=False)
    neutral = frame(opened, Gesture())
    assert neutral.shape == (512, 512, 4)
    face, mask = avatar().face, avatar(own_plate=False).mask
    nose, eyes = face.points[4, :2].astype(int), face.points[[33, 263], :2].astype(int)
    assert all(neutral[y, x, 3] > 250 for x, y in (nose, *eyes)) and not neutral[:, :40, 3].any()
    assert (neutral[..., 3] <= mask).all(), "the matte leaves the avatar's mask"
    chin = [int(np.nonzero(frame(opened, Gesture(mouth=m))[:, 256, 3] > 128)[0].max()) for m in (0.0, 1.0)]
    assert chin[1] > chin[0] + 8, "the matte does not follow the lowered jaw"


def test_a_face_that_is_turned_to_its_body_keeps_its_detail() -> None:
    smooth = avatar(own_plate=False, rest=(18.0, 0.0))
    grain = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 16, smooth.roi.shape[:2]), (0, 0), 0.7)[..., None]
    turned = replace(smooth, roi=np.asarray((smooth.roi + grain).clip(0, 255), np.uint8))
    opened = load_frame_engine("mesh").open(turned)
    pixels = opened.step(driving())[0].pixels
    shown = turn_to_rest(turned.face, turned.rest)
    detail = relative_detail(np.ascontiguousarray(pixels[..., :3]), shown)
    assert 0.85 < detail / relative_detail(turned.roi, turned.face) < 1.15


def test_the_rim_stays_the_portrait_however_the_head_moves() -> None:
    pixels = frame(session(), Gesture(yaw=25, pitch=10, roll=15, mouth=1))
    for edge in (np.s_[:20], np.s_[-20:], np.s_[:, :20], np.s_[:, -20:]):
        assert np.array_equal(pixels[edge], avatar().roi[edge])


def test_shoulders_and_background_stay_put() -> None:
    pixels, portrait = frame(session(), Gesture(yaw=15, roll=8)), avatar().roi
    shoulders = np.s_[440:490, 60:450]
    assert difference(pixels[shoulders], portrait[shoulders]) < 2.0
    assert difference(pixels[60:120, 25:60], portrait[60:120, 25:60]) < 2.0


def test_the_bodys_rest_pose_is_added_to_every_pose() -> None:
    straight, turned = (tracked(frame(session(rest=rest), Gesture())) for rest in ((0.0, 0.0), (12.0, 6.0)))
    assert turned.pose.yaw - straight.pose.yaw > 6
    assert turned.pose.pitch - straight.pose.pitch > 3


def test_without_a_face_the_last_motion_is_held() -> None:
    opened = session()
    last = opened.step(driving(0, TALKING))[0].pixels
    held = opened.step(driving(40 * MS))[0]
    assert held.pts == 40 * MS
    assert np.array_equal(held.pixels, last)


def test_reset_forgets_all_motion() -> None:
    opened = session()
    opened.step(driving(0, TALKING))
    opened.reset()
    assert psnr(opened.step(driving(40 * MS))[0].pixels, avatar().roi) >= 40


def test_a_retaken_neutral_is_eased_to() -> None:
    opened = session()
    before = opened.step(driving(0, TALKING))[0].pixels
    neutral = shape(avatar().face, TALKING)
    after = [opened.step(driving(t * MS, TALKING, neutral))[0].pixels for t in (40, 80, 160, 240, 340, 380)]
    assert difference(after[0], before) < 0.1 * difference(after[-1], before), "it jumps"
    steps = [difference(a, b) for a, b in pairwise([before, *after])]
    assert max(steps) < 0.6 * difference(after[-1], before), "it jumps later"
    assert psnr(after[-1], avatar().roi) >= 40, "0.3 s later it has not arrived"


def test_waiting_is_eased_into_and_out_of() -> None:
    opened = session()
    talking = opened.step(driving(0, TALKING))[0].pixels
    first = opened.idle(40 * MS)[0].pixels
    arriving = [opened.idle(t * MS)[0].pixels for t in range(80, 560, 40)]
    waiting = arriving[-1]
    assert max(difference(a, b) for a, b in pairwise([first, *arriving])) < 0.4 * difference(waiting, talking)
    assert difference(first, talking) < 0.1 * difference(waiting, talking)
    back = [opened.step(driving(t * MS, TALKING))[0].pixels for t in range(560, 960, 40)]
    assert difference(back[0], waiting) < 0.1 * difference(talking, waiting)
    assert max(difference(a, b) for a, b in pairwise(back)) < 0.4 * difference(talking, waiting)
    assert np.array_equal(back[-1], talking)


def test_waiting_depends_on_time_alone_and_blinks() -> None:
    one, two = session(), session()
    for opened in (one, two):
        opened.idle(0)
    one.idle(1000 * MS)
    openings = []
    for t in range(2000, 10_000, 80):
        motion = one._easing.idle(t * MS)
        openings.append(float(motion.lids.min()))
    assert min(openings) < 0.2 and 0.6 < float(np.mean(openings)) < 1.0
    two.idle(2000 * MS)
    assert np.array_equal(one.idle(12_345 * MS)[0].pixels, two.idle(12_345 * MS)[0].pixels)
    assert not np.array_equal(one.idle(13_345 * MS)[0].pixels, two.idle(12_345 * MS)[0].pixels)


def test_a_session_that_does_not_draw_moves_on_as_if_it_had() -> None:
    one, two = session(), session()
    two.draws = False
    steps = [driving(0, TALKING), driving(40 * MS, Gesture(yaw=-5)), driving(80 * MS, Gesture(mouth=0.4))]
    drawn, undrawn = ([f for step in steps for f in each.step(step)] + each.idle(120 * MS) for each in (one, two))
    assert [f.pts for f in drawn] == [f.pts for f in undrawn] and all(f.pixels.size == 0 for f in undrawn)
    two.draws = True
    now = driving(160 * MS, Gesture(yaw=9))
    assert np.array_equal(one.step(now)[0].pixels, two.step(now)[0].pixels)


def test_engines_of_ones_own_are_loaded_by_where_they_are() -> None:
    added = {"mine": "engines.mesh.engine:MeshEngine", "gone": "nowhere.at_all:Engine"}
    assert names(added) == ["mesh", *sorted({*names(), "gone", "mine"} - {"mesh"})]
    assert load("mine", added).info.title == load("mesh").info.title
    with pytest.raises(StudioError, match="cannot be loaded from nowhere"):
        load("gone", added)


def test_a_restored_session_goes_on_as_if_it_had_never_stopped() -> None:
    one, two = session(), session()
    one.step(driving(0, TALKING))
    one.idle(40 * MS)
    one.step(driving(120 * MS, Gesture(yaw=-5)))
    state = one.save()
    assert all(isinstance(value, np.ndarray) for value in state.values())
    two.restore(state)
    for t in (160, 200, 600):
        now = driving(t * MS, Gesture(yaw=-4, mouth=0.4))
        assert np.array_equal(one.step(now)[0].pixels, two.step(now)[0].pixels)
    assert one.flush() == []
