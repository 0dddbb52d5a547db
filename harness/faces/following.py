"""Measure how closely an engine's frames follow their driver, by tracking the face in them."""

from collections.abc import Iterable
from typing import TypedDict

import numpy as np

from engines.api import Driving, EngineSession
from engines.registry import load_frame_engine
from shared.avatar.model import Avatar
from shared.face.landmarks import SURFACE, Face
from shared.face.smoothing import FaceSmoother
from shared.face.tracker import FaceTracker
from shared.media.array_types import ImageArray
from shared.runtime.clock import US

FPS = 25
SIGNALS = ("mouth", "eyes", "yaw", "pitch", "roll")
MOVES = {"mouth": 0.02, "eyes": 0.02, "yaw": 2.0, "pitch": 2.0, "roll": 2.0}  # below this a signal is noise
SENSOR_NOISE = 1.5  # standard deviation of a still camera's pixels, grey levels


class Followed(TypedDict):
    """How one signal of the output follows the driver's.

    range: range of the driver's signal. correlation: Pearson's. gain: slope of the output against the driver. moves:
    whether the driver's range is above the noise.
    """

    range: float
    correlation: float
    gain: float
    moves: bool


def compare_following(faces: Iterable[Face], frames: Iterable[ImageArray]) -> dict[str, Followed]:
    """Track the face in each output frame and compare every signal with the driver's face of that frame."""
    tracker = FaceTracker()
    driver, output = [], []
    for face, frame in zip(faces, frames, strict=True):
        found = tracker.track(np.ascontiguousarray(frame[..., :3]))
        if found is not None:
            driver.append(face.signals)
            output.append(found.signals)
    result: dict[str, Followed] = {}
    for name, x, y in zip(SIGNALS, np.array(driver).T, np.array(output).T, strict=True):
        moved = float(np.ptp(x))
        flat = moved < 1e-6
        result[name] = Followed(
            range=round(moved, 3),
            correlation=0.0 if flat else round(float(np.corrcoef(x, y)[0, 1]), 3),
            gain=0.0 if flat else round(float(np.polyfit(x, y, 1)[0]), 2),
            moves=moved > MOVES[name],
        )
    return result


def neutral_frame(session: EngineSession, avatar: Avatar) -> ImageArray:
    """Return the engine's RGB frame for a driver whose face equals its neutral. Resets the session."""
    session.reset()
    return session.step(Driving(0, avatar.face, avatar.face))[0].pixels[..., :3]


def psnr(a: ImageArray, b: ImageArray) -> float:
    """Return the peak signal-to-noise ratio in dB, at most 99 (the value for equal frames)."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 99.0 if error == 0.0 else min(99.0, 10.0 * float(np.log10(255.0**2 / error)))


def still_jitter(avatar: Avatar, frames: int = 60, settle: int = 15) -> float:
    """RMS deviation (pixels) of the output's landmarks from their mean while the driver is still.

    The driver is a still image with a camera's noise, tracked and smoothed as the capture service does. `settle` frames
    precede the `frames` that are measured; the last of them is the neutral.

    The output is tracked frame by frame, because the video tracker uses its last crop as input and its points drift by
    0.29 px (measured) even on one constant frame.
    """
    chance = np.random.default_rng(1)
    tracker, smoother = FaceTracker(), FaceSmoother()
    session = load_frame_engine("mesh").open(avatar)
    neutral: Face | None = None
    shown_frames: list[ImageArray] = []
    for index in range(frames + settle):
        noise = chance.normal(0.0, SENSOR_NOISE, avatar.roi.shape)
        found = tracker.track(np.clip(avatar.roi + noise, 0, 255).astype(np.uint8))
        if found is None:
            continue
        pts = index * US // FPS
        face = smoother.smooth(found, pts)
        if index < settle:
            neutral = face
            continue
        shown_frames.append(session.step(Driving(pts, face, neutral))[0].pixels)
    again = FaceTracker(still=True)
    points = [found.points[:SURFACE, :2] for found in (again.track(p) for p in shown_frames) if found is not None]
    return float(np.sqrt(np.var(np.stack(points), axis=0).sum(axis=-1).mean()))
