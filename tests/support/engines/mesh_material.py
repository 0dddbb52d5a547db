"""Shared material of the mesh engine's tests: an avatar, its frame for a gesture, and the face tracked in it."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.api import Driving
from engines.mesh.session import MeshSession
from engines.registry import load_frame_engine
from harness.sample_avatar import sample_avatar
from shared.avatar.model import Avatar
from shared.face.landmarks import Face
from shared.face.scripted import Gesture, shape
from shared.face.tracker import FaceTracker
from shared.media.array_types import ImageArray

MS = 1_000
LOWER_FACE = (132, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 1)


@cache
def avatar(own_plate: bool = True, rest: tuple[float, float] = (0.0, 0.0)) -> Avatar:
    return sample_avatar(own_plate, rest)


def masked_portrait(colour: tuple[int, int, int]) -> ImageArray:
    """Return the avatar's ROI with a mask of this colour painted over nose, mouth and chin."""
    image = avatar().roi.copy()
    hull = cv2.convexHull(avatar().face.points[list(LOWER_FACE), :2].astype(np.float32))
    cv2.fillConvexPoly(image, hull.astype(np.int32), colour)
    return image


def session(own_plate: bool = True, rest: tuple[float, float] = (0.0, 0.0)) -> MeshSession:
    opened = load_frame_engine("mesh").open(avatar(own_plate, rest))
    assert isinstance(opened, MeshSession)
    return opened


def driving(pts: int = 0, gesture: Gesture | None = None, neutral: Face | None = None) -> Driving:
    """Return a driving frame of the avatar's own face making a gesture; without a gesture it has no face."""
    own = avatar().face
    face = None if gesture is None else shape(own, gesture)
    return Driving(pts, face, None if gesture is None else neutral or own)


def frame(of: MeshSession, gesture: Gesture) -> NDArray[np.uint8]:
    """Reset the session and return its frame for a gesture, (512, 512, 3 or 4) uint8."""
    of.reset()
    return of.step(driving(0, gesture))[0].pixels


def tracked(pixels: NDArray[np.uint8]) -> Face:
    tracker = FaceTracker(still=True)
    face = tracker.track(np.ascontiguousarray(pixels[..., :3]))
    assert face is not None, "no face is found in the engine's frame"
    return face


def difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(a.astype(np.int16) - b).mean())
