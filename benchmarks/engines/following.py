"""How well the mesh engine follows a driver of your own, on avatars of your own.

    studio bench engine --avatar NAME --driver VIDEO [--avatar ... --driver ...] [--json]

For every pair: the range of the driver's own signal, and the correlation and gain of the signal that a tracker reads in
the output. For comparison, the same tracker reads the driver's own frames again, slightly shrunk: no engine can score
better than that. A signal that the driver hardly moves is noise; it is listed but not judged.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.api import Driving, EngineSession
from engines.registry import load_frame_engine
from harness.faces.following import Followed, compare_following
from shared.avatar.model import Avatar
from shared.errors import StudioError
from shared.face.follower import FOLLOWED_SIDE_PX, FaceFollower
from shared.face.landmarks import Face
from shared.media.array_types import ImageArray
from shared.media.reader import VideoReader

FRAMES = 240  # frames of the driver, from its beginning
SHRUNK = 0.85  # size at which the driver is tracked again: another crop, other pixels, the same face
TRACKED_AGAIN = "(tracked again)"
LEAST, GAIN = 0.9, (0.7, 1.3)  # least correlation and range of the gain that are required


class FollowingRow(TypedDict):
    """One signal of one pair. avatar: TRACKED_AGAIN if the driver's own frames were tracked."""

    driver: str
    avatar: str
    signal: str
    range: float
    correlation: float
    gain: float
    verdict: str


def measure(avatars: list[Avatar], drivers: list[Path], frames: int = FRAMES) -> list[FollowingRow]:
    """A row for every driver, avatar and signal. Raises StudioError when a driver cannot be read or shows no face."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return [row for driver in drivers for row in _rows(avatars, driver, frames)]
    finally:
        cv2.setNumThreads(threads)


def _rows(avatars: list[Avatar], path: Path, frames: int) -> Iterator[FollowingRow]:
    driving, shrunk = _tracked(path, frames)
    faces = [each.face for each in driving if each.face is not None]
    pairs: list[tuple[str, Iterable[ImageArray]]] = [(TRACKED_AGAIN, shrunk)]
    for avatar in avatars:
        session = load_frame_engine("mesh").open(avatar)
        pairs.append((avatar.name, _frames(session, driving)))
    for name, shown_frames in pairs:
        for signal, each in compare_following(faces, shown_frames).items():
            yield FollowingRow(
                driver=path.name,
                avatar=name,
                signal=signal,
                range=each["range"],
                correlation=each["correlation"],
                gain=each["gain"],
                verdict=verdict(each),
            )


def _frames(session: EngineSession, driving: list[Driving]) -> Iterator[ImageArray]:
    for each in driving:
        yield session.step(each)[0].pixels


def verdict(figures: Followed) -> str:
    """Return "follows" or "missed", or "hardly moves" for a signal that the driver hardly moves."""
    if not figures["moves"]:
        return "hardly moves"
    follows = figures["correlation"] >= LEAST and GAIN[0] <= figures["gain"] <= GAIN[1]
    return "follows" if follows else "missed"


def _tracked(path: Path, frames: int) -> tuple[list[Driving], list[ImageArray]]:
    """Return the driving frames that capture would make from the driver, and its images with a face, shrunk."""
    follower = FaceFollower()
    driving, shrunk = [], []
    with VideoReader(path, max_side=FOLLOWED_SIDE_PX) as reader:
        matrix = _shrink(reader.width, reader.height)
        for pts, rgb in reader:
            found = follower.follow(rgb, pts)
            if found is not None:
                driving.append(Driving(pts, *_copied(*found)))
                shrunk.append(np.asarray(cv2.warpAffine(rgb, matrix, (reader.width, reader.height)), np.uint8))
            if len(driving) == frames:
                break
    if len(driving) < 2:
        raise StudioError(f"{path.name} shows no face; choose a driver whose face is visible.")
    return driving, shrunk


def _shrink(width: int, height: int) -> NDArray[np.float64]:
    return np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), 0.0, SHRUNK), np.float64)


def _copied(face: Face, neutral: Face) -> tuple[Face, Face]:
    return Face(face.points.copy()), Face(neutral.points.copy())
