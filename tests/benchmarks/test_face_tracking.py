"""`studio bench face`: which results count as equal, and a peer that cannot be used."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.face.peer import Found, OriginalGraph, printed_seconds
from benchmarks.face.tracking import Footage, compare, ours
from harness.faces.posed import moving_face, two_faces
from shared.errors import StudioError


@pytest.fixture(scope="module")
def video() -> Footage:
    return Footage("video", False, moving_face())


@pytest.fixture(scope="module")
def followed(video: Footage) -> Found:
    return ours(video)


def changed(found: Found, by: NDArray[np.float32], frames: slice = slice(None)) -> Found:
    """Return the result with `by` added to the points of these frames."""
    faces = [list(each) for each in found.found]
    for each in faces[frames]:
        each[0] = each[0] + by
    return Found(faces, found.seconds, found.processor_s)


def test_what_is_found_twice_is_the_same(video: Footage, followed: Found) -> None:
    figures = compare(video, followed, followed)
    assert figures["verdict"] == "same" and figures["mean_px"] == 0 and figures["with_a_face"] == len(video.frames)
    still = Footage("still", True, two_faces()[None])
    assert compare(still, ours(still), ours(still))["verdict"] == "same"


def test_points_that_are_elsewhere_differ(video: Footage, followed: Found) -> None:
    all_over = changed(followed, np.full((478, 3), 0.2, np.float32))
    assert compare(video, all_over, followed)["verdict"] == "differs"
    lips = np.zeros((478, 3), np.float32)
    lips[[13, 14], 1] = 3.0
    at_times = changed(followed, lips, slice(None, None, 3))
    figures = compare(video, at_times, followed)
    assert figures["mean_px"] < 0.15 and figures["verdict"] == "differs"


def test_shaking_within_the_allowed_distance_differs() -> None:
    held = Footage("held", False, np.repeat(moving_face()[:1], 12, axis=0))
    steady = ours(held)
    shaken = changed(steady, np.full((478, 3), 0.1, np.float32), slice(None, None, 2))
    figures = compare(held, shaken, steady)
    assert figures["mean_px"] < 0.15 and figures["p999_px"] < 1.5
    assert figures["jitter_px_over_peer"] > 1.02 and figures["verdict"] == "differs"


def test_a_face_that_one_side_misses_differs(video: Footage, followed: Found) -> None:
    missed = Found([[], *followed.found[1:]], followed.seconds, followed.processor_s)
    figures = compare(video, missed, followed)
    assert figures["mean_px"] == 0 and figures["verdict"] == "differs"
    assert (figures["with_a_face"], figures["peer_with_a_face"]) == (len(video.frames) - 1, len(video.frames))


def test_a_peer_without_mediapipe_is_one_sentence(tmp_path: Path) -> None:
    np.save(tmp_path / "frames.npy", two_faces()[None])
    for python in (Path("/bin/false"), tmp_path / "none"):
        with pytest.raises(StudioError, match=r"mediapipe==0\.10\.21 is installed"):
            printed_seconds([str(python)])
        with pytest.raises(StudioError, match=r"mediapipe==0\.10\.21 is installed"), OriginalGraph(python) as peer:
            peer.find(tmp_path / "frames.npy", "video")
