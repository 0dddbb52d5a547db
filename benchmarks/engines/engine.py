"""Cost of the mesh engine, and how well its frames follow their driver.

    python -m benchmarks.engines.engine [--json]

On your own footage: `benchmarks.engines.following`.

Times are processor time of one thread, which other work on the machine does not lengthen. Two references from the
same run, a full-frame remap and a memory copy of the same size, make figures of different machines comparable.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np

from engines.api import Driving, EngineSession, SessionContext
from engines.registry import load_frame_engine
from harness.faces.following import FPS, compare_following, neutral_frame, psnr, still_jitter
from harness.filmed_body import filmed_body
from harness.sample_avatar import sample_avatar
from shared.avatar.model import ROI_SIZE_PX
from shared.face.landmarks import Face
from shared.face.scripted import SCRIPT_S, perform
from shared.media.array_types import ImageArray
from shared.runtime.clock import US


def measure() -> dict[str, object]:
    """Measure the engine; the figures are milliseconds, ratios, decibels and pixels.

    `ms_per_frame`: median and p95. `body_ms_per_frame`: a film's own face, without decoding. `body_over_portrait`: its
    ratio to a portrait's face, measured in turns frame by frame. `reference_ms`, `ratio`: the two references, and the
    ratio to each. `open_ms`: opening a session. `followed`: by signal. `neutral_psnr_db`, `still_jitter_px`: see
    `harness.faces.following`.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return _measure()
    finally:
        cv2.setNumThreads(threads)


def _measure() -> dict[str, object]:
    avatar = sample_avatar()
    load_frame_engine("mesh").open(avatar)  # compiles, or loads what was compiled
    start = time.thread_time()
    session = load_frame_engine("mesh").open(avatar)
    open_ms = (time.thread_time() - start) * 1e3
    faces = [perform(avatar.face, i / FPS) for i in range(round(SCRIPT_S * FPS))]
    frames, times = [], []
    for index, face in enumerate(faces):
        driving = Driving(index * US // FPS, face, avatar.face)
        start = time.thread_time()
        frames.append(session.step(driving)[0].pixels)
        times.append((time.thread_time() - start) * 1e3)
    on_film, over_portrait = _on_film(faces, avatar.face)
    remap, copy = _references(avatar.roi)
    median = statistics.median(times)
    return {
        "machine": platform.processor() or platform.machine(),
        "ms_per_frame": {"median": round(median, 2), "p95": round(float(np.percentile(times, 95)), 2)},
        "body_ms_per_frame": round(on_film, 2),
        "body_over_portrait": round(over_portrait, 2),
        "reference_ms": {"remap": round(remap, 3), "memcpy": round(copy, 4)},
        "ratio": {"remap": round(median / remap, 1), "memcpy": round(median / copy)},
        "open_ms": round(open_ms),
        "followed": compare_following(faces, frames),
        "neutral_psnr_db": round(psnr(neutral_frame(session, avatar), avatar.roi), 1),
        "still_jitter_px": round(still_jitter(avatar), 3),
    }


def _on_film(faces: list[Face], neutral: Face) -> tuple[float, float]:
    """Milliseconds per frame of the film's own face, and their ratio to those of the portrait.

    The person in the film speaks, which costs the most.
    """
    engine, film = load_frame_engine("mesh"), filmed_body(scale=1.0)
    portrait = engine.open(film)
    body = engine.open(film, SessionContext(options=engine.options({"source": "body"})))
    for index in range(len(film.plate)):
        film.plate.frame(index)
    took: dict[EngineSession, list[float]] = {portrait: [], body: []}
    for index, face in enumerate(faces[: 6 * len(film.plate)]):
        for session, times in took.items():
            start = time.thread_time()
            session.step(Driving(index * US // FPS, face, neutral))
            times.append((time.thread_time() - start) * 1e3)
    ours, theirs = (statistics.median(took[session]) for session in (body, portrait))
    return ours, ours / theirs


def _references(roi: ImageArray) -> tuple[float, float]:
    axes = np.meshgrid(np.arange(ROI_SIZE_PX, dtype=np.float32), np.arange(ROI_SIZE_PX, dtype=np.float32))
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
    """Measure, and print a line for each figure or one JSON object."""
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
