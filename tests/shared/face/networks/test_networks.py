"""Points, boxes and people equal those of mediapipe 0.10.21's own graph, on the sample portrait in poses.

`python -m benchmarks.face.golden` writes that reference; `python -m benchmarks.face.tracking` compares on your own
footage.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.faces.posed import moving_face, small_face, two_faces
from shared.face.finder import MIN_SCORE
from shared.face.landmarks import RIGHT_IRIS, Points
from shared.face.networks.detector import FULL_RANGE, SHORT_RANGE, FaceDetector
from shared.face.networks.landmarker import FaceLandmarker
from shared.face.networks.region import Region
from shared.face.networks.segmenter import PersonSegmenter

GOLDEN = Path(__file__).with_name("mediapipe_0.10.21.npz")
EVERY = 5  # of the moving face, every fifth frame is compared


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[np.float32]]:
    with np.load(GOLDEN) as data:
        return dict(data)


def followed(frames: NDArray[np.uint8]) -> list[Points]:
    landmarker = FaceLandmarker(follows=True)
    found = [landmarker.find(frame) for frame in frames]
    assert [len(faces) for faces in found] == [1] * len(frames)
    return [faces[0] for faces in found]


def mean_apart(one: Points, other: Points) -> float:
    return float(np.linalg.norm(one[:, :2] - other[:, :2], axis=1).mean())


def test_points_of_single_images(golden: dict[str, NDArray[np.float32]]) -> None:
    found = FaceLandmarker(follows=False, max_faces=2).find(two_faces())
    assert len(found) == 2
    for points, wanted in zip(found, golden["still"], strict=True):
        assert points.dtype == np.float32 and points.shape == (478, 3)
        assert mean_apart(points, wanted) < 0.1
        assert np.abs(points[:, 2] - wanted[:, 2]).mean() < 0.1
        assert np.abs(points[RIGHT_IRIS:, 2] - wanted[RIGHT_IRIS:, 2]).max() < 0.2


def test_points_of_a_moving_face(golden: dict[str, NDArray[np.float32]]) -> None:
    found = followed(moving_face())[::EVERY]
    apart = [np.linalg.norm(a[:, :2] - b[:, :2], axis=1) for a, b in zip(found, golden["video"], strict=True)]
    assert np.mean(apart) < 0.15 and np.percentile(apart, 99.9) < 1.5


def test_no_more_faces_than_asked_for_and_none_where_there_is_none() -> None:
    assert len(FaceLandmarker(follows=False, max_faces=1).find(two_faces())) == 1
    landmarker = FaceLandmarker(follows=True)
    frame, empty = moving_face()[0], np.full((480, 640, 3), 128, np.uint8)
    assert [len(landmarker.find(each)) for each in (frame, empty, empty, frame, frame)] == [1, 0, 0, 1, 1]


def test_a_landmarker_that_forgot_finds_what_a_new_one_finds() -> None:
    frames = moving_face()
    landmarker = FaceLandmarker(follows=True)
    for frame in frames[:5]:
        landmarker.find(frame)
    assert not np.array_equal(landmarker.find(frames[5])[0], followed(frames[5:6])[0])
    landmarker.forget()
    assert np.array_equal(landmarker.find(frames[5])[0], followed(frames[5:6])[0])


def test_a_small_face_is_found_by_the_full_range_alone(golden: dict[str, NDArray[np.float32]]) -> None:
    image = small_face()
    assert FaceDetector(SHORT_RANGE, MIN_SCORE).find(image) == []
    found = FaceDetector(FULL_RANGE, MIN_SCORE).find(image)
    assert len(found) == len(golden["small"]) == 1
    assert np.abs(np.array(found[0].box) - golden["small"][0, :4]).max() < 0.05
    assert found[0].score == pytest.approx(float(golden["small"][0, 4]), abs=0.001)


def test_the_person_stands_out_from_the_background(golden: dict[str, NDArray[np.float32]]) -> None:
    found, wanted = PersonSegmenter().find(moving_face()[-1]), golden["person"].astype(np.float32) / 255
    assert found.shape == wanted.shape and found.dtype == np.float32
    assert np.abs(found - wanted).mean() < 0.005
    seen, known = found > 0.5, wanted > 0.5
    assert (seen & known).sum() / (seen | known).sum() > 0.995


def test_landmarkers_in_threads_find_what_each_finds_alone() -> None:
    frames = moving_face()
    films = [frames, np.ascontiguousarray(frames[:, :, ::-1])]
    alone = [np.stack(followed(film)) for film in films]
    with ThreadPoolExecutor(2) as pool:
        together = [np.stack(points) for points in pool.map(followed, films)]
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_region_shows_what_lies_in_it_and_leads_back() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    cv2.circle(image, (130, 90), 3, (255, 255, 255), -1)
    region = Region(x=140.0, y=100.0, side=80.0, angle=0.5)
    cut = region.cut(image, 160, cv2.BORDER_CONSTANT)[..., 0]
    assert cut.shape == (160, 160)
    y, x = (float(each.mean()) for each in np.nonzero(cut > 128))
    (back,) = region.to_image(np.array([[x / 160, y / 160, 0.25]], np.float32))
    assert back == pytest.approx([130.0, 90.0, 20.0], abs=0.3)
