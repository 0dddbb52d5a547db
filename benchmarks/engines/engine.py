"""What the mesh engine costs and how well its pictures follow their driver.

    python -m benchmarks.engines.engine [--json]

On footage of your own: `benchmarks.engines.following`.

Times are processor time of one thread, which other work on the machine does not lengthen. Next to them stand two references from the same run, so that
figures of different machines can be compared: a full-frame remap and a memory copy of the same size.
"""

import argparse
import atexit
import json
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.api import Driving, Session
from engines.registry import load
from shared.avatar.model import ROI_SIZE, Avatar
from shared.face.landmarks import Face
from shared.face.scripted import SECONDS, perform
from shared.face.smoothing import FaceSmoother
from shared.face.tracker import FaceTracker

FPS = 25
SIDE = 1.9  # of the ROI over the face, as `studio avatar add` crops it
SIGNALS = ("mouth", "eyes", "yaw", "pitch", "roll")
MOVES = {"mouth": 0.02, "eyes": 0.02, "yaw": 2.0, "pitch": 2.0, "roll": 2.0}  # below this a signal is noise
SENSOR_NOISE = 1.5  # standard deviation of a still camera's pixels, grey levels

Picture = NDArray[np.uint8]


class Followed(TypedDict):
    """How one signal of the output follows the driver's: its range, correlation and slope."""

    range: float
    correlation: float
    gain: float
    moves: bool


def sample_avatar(own_plate: bool = True, rest: tuple[float, float] = (0.0, 0.0)) -> Avatar:
    """scikit-image's astronaut as an avatar without a plate: all that an engine looks at."""
    from skimage.data import astronaut

    small: Picture = astronaut()  # type: ignore[no-untyped-call]
    portrait = np.asarray(cv2.resize(small, None, fx=2.0, fy=2.0, interpolation=cv2.INTER_CUBIC), np.uint8)
    tracker = FaceTracker(still=True)
    face = tracker.faces(portrait)[0]
    tracker.close()
    left, top, right, bottom = face.box
    scale = ROI_SIZE / (SIDE * face.size)
    matrix = np.array(
        [
            [scale, 0.0, ROI_SIZE / 2 - scale * (left + right) / 2],
            [0.0, scale, ROI_SIZE / 2 - scale * (top + bottom) / 2],
        ]
    )
    roi = cv2.warpAffine(portrait, matrix, (ROI_SIZE, ROI_SIZE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    face = face.moved(matrix)
    mask = np.full((ROI_SIZE, ROI_SIZE), 255, np.uint8)
    if not own_plate:
        mask[:] = 0
        hull = cv2.convexHull(face.points[:468, :2].copy())
        cv2.fillConvexPoly(mask, hull.astype(np.int32), (255,))
    folder = tempfile.mkdtemp(prefix="studio-bench-")  # where engines keep what they read of it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Avatar(
        name="sample",
        folder=Path(folder),
        rights="public domain",
        roi=np.ascontiguousarray(roi, np.uint8),
        face=face,
        mask=mask,
        own_plate=own_plate,
        rest=rest,
        portrait_to_roi=matrix,
        plate=None,  # type: ignore[arg-type]  # an engine never looks at it
    )


def measure() -> dict[str, object]:
    """All figures: `ms_per_frame` (median, p95), the references, the ratio to each, `open_ms`, `followed`
    by signal, `neutral_psnr_db` and `still_jitter_px`."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return _measure()
    finally:
        cv2.setNumThreads(threads)


def _measure() -> dict[str, object]:
    avatar = sample_avatar()
    load("mesh").open(avatar)  # compiles, or loads what was compiled
    start = time.thread_time()
    session = load("mesh").open(avatar)
    open_ms = (time.thread_time() - start) * 1e3
    faces = [perform(avatar.face, i / FPS) for i in range(round(SECONDS * FPS))]
    pictures, times = [], []
    for index, face in enumerate(faces):
        driving = Driving(index * 1_000_000 // FPS, face, avatar.face)
        start = time.thread_time()
        pictures.append(session.step(driving)[0].pixels)
        times.append((time.thread_time() - start) * 1e3)
    remap, copy = _references(avatar.roi)
    median = statistics.median(times)
    return {
        "machine": platform.processor() or platform.machine(),
        "ms_per_frame": {"median": round(median, 2), "p95": round(float(np.percentile(times, 95)), 2)},
        "reference_ms": {"remap": round(remap, 3), "memcpy": round(copy, 4)},
        "ratio": {"remap": round(median / remap, 1), "memcpy": round(median / copy)},
        "open_ms": round(open_ms),
        "followed": follow(faces, pictures),
        "neutral_psnr_db": round(psnr(neutral_picture(session, avatar), avatar.roi), 1),
        "still_jitter_px": round(still_jitter(avatar), 3),
    }


def follow(faces: Iterable[Face], pictures: Iterable[Picture]) -> dict[str, Followed]:
    """Track the pictures again and compare every signal with the driver's faces."""
    tracker = FaceTracker()
    driver, output = [], []
    for face, picture in zip(faces, pictures, strict=True):
        found = tracker.track(np.ascontiguousarray(picture[..., :3]))
        if found is not None:
            driver.append(_signals(face))
            output.append(_signals(found))
    tracker.close()
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


def neutral_picture(session: Session, avatar: Avatar) -> Picture:
    """What comes out when the driver's face is its own neutral."""
    session.reset()
    return session.step(Driving(0, avatar.face, avatar.face))[0].pixels[..., :3]


def psnr(a: Picture, b: Picture) -> float:
    """Peak signal-to-noise ratio in dB; 99 for equal pictures."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 99.0 if error == 0.0 else min(99.0, 10.0 * float(np.log10(255.0**2 / error)))


def still_jitter(avatar: Avatar, frames: int = 60, settle: int = 15) -> float:
    """RMS deviation (pixels) of the output's landmarks from their mean while the driver is a still picture with
    a camera's noise, tracked and smoothed as the capture service does.

    The output is tracked picture by picture: the video tracker feeds its last crop back and wanders by 0.29 px
    (measured) even over one constant picture.
    """
    chance = np.random.default_rng(1)
    tracker, smoother = FaceTracker(), FaceSmoother()
    session = load("mesh").open(avatar)
    neutral: Face | None = None
    pictures: list[Picture] = []
    for index in range(frames + settle):
        noise = chance.normal(0.0, SENSOR_NOISE, avatar.roi.shape)
        found = tracker.track(np.clip(avatar.roi + noise, 0, 255).astype(np.uint8))
        if found is None:
            continue
        pts = index * 1_000_000 // FPS
        face = smoother.step(found, pts)
        if index < settle:
            neutral = face
            continue
        pictures.append(session.step(Driving(pts, face, neutral))[0].pixels)
    tracker.close()
    again = FaceTracker(still=True)
    points = [found.points[:468, :2] for found in (again.track(p) for p in pictures) if found is not None]
    again.close()
    return float(np.sqrt(np.var(np.stack(points), axis=0).sum(axis=-1).mean()))


def _signals(face: Face) -> tuple[float, ...]:
    return (face.mouth_opening, sum(face.eye_openings) / 2, *face.pose)


def _references(roi: Picture) -> tuple[float, float]:
    axes = np.meshgrid(np.arange(ROI_SIZE, dtype=np.float32), np.arange(ROI_SIZE, dtype=np.float32))
    map_x, map_y = (np.asarray(axis + np.float32(0.3), np.float32) for axis in axes)
    target = np.empty_like(roi)
    return (
        _median_ms(lambda: cv2.remap(roi, map_x, map_y, cv2.INTER_LINEAR)),
        _median_ms(lambda: np.copyto(target, roi)),
    )


def _median_ms(work: Callable[[], object], rounds: int = 50) -> float:
    times = []
    for _ in range(rounds):
        start = time.thread_time()
        work()
        times.append((time.thread_time() - start) * 1e3)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    figures = measure()
    if parser.parse_args().json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
