"""A tracker reads the same from the engine's frames as from the driver, whatever the portrait is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.mesh.lids import SHUT, lid_opening
from engines.mesh.motion import REST, MeshMotion
from engines.mesh.tracker_calibration import (
    FILE,
    LIP_LIMIT,
    PLAIN,
    TURN_LIMIT,
    TrackerCalibration,
    calibrate_tracker,
    kept_calibration,
)
from shared.face.landmarks import LIP_BOTTOM, LIP_TOP
from tests.support.engines.mesh_material import avatar, session, tracked

MOUTH_REACH = 0.35, 0.2  # eye distances


def lowered_mouth(by: float) -> MeshMotion:
    """Return a motion that lowers the skin around the mouth by `by` eye distances and leaves the head still."""
    face = avatar().face
    local = face.points[: len(REST.skin)] @ face.rotation / face.eye_distance
    off = (local - (local[LIP_TOP] + local[LIP_BOTTOM]) / 2)[:, :2] / MOUTH_REACH
    skin = np.zeros_like(REST.skin)
    skin[:, 1] = by * np.exp(-(off[:, 0] ** 4) - off[:, 1] ** 2)
    return replace(REST, skin=skin)


def test_rest_is_drawn_as_it_is() -> None:
    assert np.array_equal(session()._renderer._reading.corrected(REST).flat(), REST.flat())


def test_a_mouth_that_moves_as_a_whole_is_not_read_as_a_nod() -> None:
    frame = session()._renderer
    pitch = [
        [tracked(drawn(lowered_mouth(by))).pose.pitch for by in (-0.05, 0.05)] for drawn in (frame.draw, frame.render)
    ]
    plain, corrected = (down - up for up, down in pitch)
    assert plain > 2.0, "the tracker is no longer misled: is the rule still needed?"
    assert abs(corrected) < 0.75 * plain


def test_shut_eyes_stay_shut_and_open_ones_open_whatever_the_portraits_eyes() -> None:
    for power in (0.75, 1.6):
        reading = TrackerCalibration(np.ones(3), 1.0, power, np.zeros(3))
        for ratio in (SHUT, 1.0, 1.2):
            lids = reading.corrected(replace(REST, lids=np.full(2, ratio, np.float32))).lids
            assert lid_opening(float(lids[0])) == pytest.approx(lid_opening(ratio), abs=1e-5)


def test_what_is_read_too_small_is_drawn_larger_and_never_beyond_its_limits() -> None:
    portrait = avatar()
    frame = session()._renderer
    full = calibrate_tracker(frame.draw, portrait.face, turns=True)
    half = calibrate_tracker(
        lambda motion: frame.draw(replace(motion, turn=motion.turn * 0.5, lips=motion.lips * 0.5)),
        portrait.face,
        turns=True,
    )
    assert half.lips > 1.1 * full.lips
    assert (half.turn[:2] > 1.1 * full.turn[:2]).all()
    for each in (full, half):
        assert LIP_LIMIT[0] <= each.lips <= LIP_LIMIT[1]
        assert (each.turn >= TURN_LIMIT[0]).all() and (each.turn <= TURN_LIMIT[1]).all()


def test_a_portrait_that_the_tracker_does_not_find_is_drawn_by_the_motion_alone() -> None:
    blank = np.zeros((512, 512, 3), np.uint8)
    assert calibrate_tracker(lambda motion: blank, avatar().face, turns=True) is PLAIN


def test_a_reading_is_measured_once_and_again_when_it_is_damaged(tmp_path: Path) -> None:
    measured: list[TrackerCalibration] = []

    def measure() -> TrackerCalibration:
        measured.append(TrackerCalibration(np.array([1.1, 0.9, 1.0]), 1.2, 0.8, np.array([0.0, -1.5, 0.25])))
        return measured[-1]

    first = kept_calibration(tmp_path / FILE, measure)
    again = kept_calibration(tmp_path / FILE, measure)
    assert len(measured) == 1 and again.lips == first.lips and again.lids == first.lids
    assert np.array_equal(again.turn, first.turn) and np.array_equal(again.blink, first.blink)
    for damage in (
        "",
        "[]",
        "null",
        '{"version": 0}',
        '{"version": 1, "turn": [1], "lips": 1, "lids": 1, "blink": [1]}',
    ):
        (tmp_path / FILE).write_text(damage, encoding="utf-8")
        measured.clear()
        assert kept_calibration(tmp_path / FILE, measure).lips == 1.2 and len(measured) == 1
