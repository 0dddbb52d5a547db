"""Tracking, smoothing and the neutral, on a clip that the test makes itself."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.avatar.samples import sample_portrait
from shared.face.follower import FaceFollower
from shared.face.landmarks import Face, pose_of
from shared.face.neutral import NeutralChooser
from shared.face.smoothing import FAST_POINTS, FaceSmoother
from shared.face.tracker import SURVEY_PERIOD_FRAMES, FaceTracker
from shared.runtime.clock import US

STEP_US = US // 25


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    """(512, 512, 3) crop around the astronaut's face."""
    return np.ascontiguousarray(sample_portrait()[20:532, 200:712])


@pytest.fixture(scope="module")
def face(image: NDArray[np.uint8]) -> Face:
    found = FaceTracker(still=True).faces(image)
    assert len(found) == 1
    return found[0]


def test_a_still_driver_does_not_shimmer(image: NDArray[np.uint8]) -> None:
    """The same image with sensor noise: points stay within 0.3 px RMS of their mean."""
    follower, noise, seen = FaceFollower(), np.random.default_rng(1), []
    for number in range(50):
        noisy = np.clip(image + noise.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
        found = follower.follow(noisy, number * STEP_US)
        assert found is not None
        seen.append(found[0].points[:, :2])
    settled = np.stack(seen[15:])
    assert np.sqrt(((settled - settled.mean(axis=0)) ** 2).sum(axis=2).mean()) < 0.3


def test_a_fast_blink_survives_the_smoothing(face: Face) -> None:
    """Lids that close and open within four frames reach 80 % of the way."""
    smoother, lids = FaceSmoother(), FAST_POINTS[:16]
    lowest = 10.0
    for number in range(40):
        points = face.points.copy()
        closed = {20: 0.5, 21: 1.0, 22: 1.0, 23: 0.5}.get(number, 0.0)
        for upper, lower in ((159, 145), (158, 153), (160, 144)):
            points[upper] += (points[lower] - points[upper]) * closed
        lowest = min(lowest, smoother.smooth(Face(points), number * STEP_US).eye_openings[0])
    assert len(lids) and lowest < 0.2 * face.eye_openings[0]


def test_pose_signs_and_size(face: Face) -> None:
    """Turning the points by a known rotation changes the pose by as much."""
    centre = face.points.mean(axis=0)
    rest = face.pose
    for axis, degrees, name in ((1, -15.0, "yaw"), (0, 10.0, "pitch"), (2, 12.0, "roll")):
        turn = cv2.Rodrigues(np.eye(3)[axis] * np.radians(degrees))[0]
        moved = Face(((face.points - centre) @ turn.T + centre).astype(np.float32))
        assert getattr(moved.pose, name) - getattr(rest, name) == pytest.approx(abs(degrees), abs=1.5)
    assert pose_of(np.eye(3)) == (0, 0, 0)


def test_two_faces_the_most_central_large_one_is_kept(image: NDArray[np.uint8]) -> None:
    small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    both = np.full((512, 900, 3), 128, np.uint8)
    both[:, 240:752] = image
    both[:256, :240] = small[:, 8:248]
    tracker = FaceTracker()
    kept = [tracker.track(both) for _ in range(5)]
    assert all(f is not None and f.box[0] > 240 for f in kept)


def test_a_face_that_becomes_the_central_large_one_takes_over(image: NDArray[np.uint8]) -> None:
    """A small face alone, then a large one beside it: the large one is followed within one survey and from then on."""
    alone = np.full((512, 960, 3), 128, np.uint8)
    alone[:384, :384] = cv2.resize(image, (384, 384), interpolation=cv2.INTER_AREA)
    both = alone.copy()
    both[:, 420:932] = image
    tracker = FaceTracker()
    for _ in range(3):
        face = tracker.track(alone)
        assert face is not None and face.box[2] < 400
    faces = [tracker.track(both) for _ in range(SURVEY_PERIOD_FRAMES + 30)]
    assert all(f is not None for f in faces)
    assert all(f is not None and f.box[0] > 400 for f in faces[-20:])


def test_the_calmest_face_of_the_first_two_seconds_is_neutral_until_retaken(face: Face) -> None:
    opened = face.points.copy()
    opened[14, 1] += 0.2 * face.eye_distance
    loud, neutral = Face(opened), NeutralChooser()
    assert neutral.neutral_for(loud, 0) is loud
    assert neutral.neutral_for(face, STEP_US) is face
    assert neutral.neutral_for(loud, 2 * STEP_US) is face
    neutral.retake(loud)
    assert neutral.neutral_for(face, 3 * STEP_US) is loud
    assert neutral.neutral_for(face, 10 * US) is face, "someone else, after seconds without a face"


def test_faces_travel_as_bytes_and_nothing_else_is_one(face: Face) -> None:
    assert np.array_equal(Face.unpack(face.pack()).points, face.points)
    broken = face.points.copy()
    broken[3, 1] = np.nan
    for raw in (b"", face.pack()[:-1], Face(broken).pack(), None, bytes(len(face.pack()))):
        with pytest.raises(ValueError):
            Face.unpack(raw)
