"""mediapipe 0.10.21's own graph on frames that it is given: run by the Python of an environment that has it.

    PYTHON mediapipe_peer.py first FRAMES
    PYTHON mediapipe_peer.py serve

`first` prints the seconds from the interpreter's start of this file to the first face's points. `serve` reads a request
a line from standard input, JSON: {"frames": a .npy of (N, H, W, 3) uint8 RGB, "still": whether each frame is a single image,
"out": a .npz to write}, and answers with {"seconds": [...]}, one a frame. The file has `count`, (N,) faces a frame, and
`points`, (faces, 478, 3) float32, in pixels. This file imports nothing of the studio's.
"""

import time

_STARTED = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402
from importlib import import_module  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

MAX_FACES = 2  # in single images; a video's face is followed alone


def graph(still: bool) -> Any:
    """Its face mesh with the attention model."""
    solution: Any = import_module("mediapipe.python.solutions.face_mesh")
    return solution.FaceMesh(static_image_mode=still, refine_landmarks=True, max_num_faces=MAX_FACES if still else 1)


def points_in_pixels(found: Any, width: int, height: int) -> Any:
    """(478, 3) float32 of one of its faces."""
    points = np.array([(each.x, each.y, each.z) for each in found.landmark], np.float32)
    return points * np.array([width, height, width], np.float32)


def first(path: str) -> None:
    """Print the seconds to the first points, without those that reading the frame took."""
    before = time.perf_counter()
    frame = np.load(path)[0]
    reading = time.perf_counter() - before
    model = graph(False)
    found = model.process(frame).multi_face_landmarks
    points_in_pixels(found[0], frame.shape[1], frame.shape[0])
    print(time.perf_counter() - _STARTED - reading)


def serve() -> None:
    """Answer requests until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        frames = np.load(request["frames"])
        height, width = frames.shape[1:3]
        model = graph(request["still"])
        seconds, count, points = [], [], []
        for frame in frames:
            started = time.perf_counter()
            found = model.process(frame).multi_face_landmarks or []
            faces = [points_in_pixels(each, width, height) for each in found]
            seconds.append(time.perf_counter() - started)
            count.append(len(faces))
            points += faces
        model.close()
        np.savez(request["out"], count=count, points=np.array(points, np.float32).reshape(-1, 478, 3))
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "first":
        first(sys.argv[2])
    else:
        serve()
