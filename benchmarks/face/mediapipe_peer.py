"""Run mediapipe 0.10.21's own graph on given frames, with the Python of an environment that has it.

    PYTHON mediapipe_peer.py first FRAMES
    PYTHON mediapipe_peer.py serve

`first` prints the seconds from the start of this file to the first face's points. `serve` reads one JSON request per
line from standard input, {"frames": a .npy of (N, H, W, 3) uint8 RGB, "graph": a name, "out": a .npz to write}, and
answers with {"seconds": [...], one per frame, "processor_s": mean of a frame, all threads together}. The graphs are
`still` and `video`, points of the faces in single images and of the one face in a video; `small`, boxes of small faces;
and `person`, a mask of the person. The .npz has `count`, (N,) findings per frame, and `found`, float32: (faces, 478, 3)
points, or (faces, 5) left, top, right, bottom and score, all in pixels, or (N, H, W) masks, 0 to 1. This file imports
nothing from the studio.
"""

import time

_STARTED = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402
from importlib import import_module  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

MAX_FACES = 2  # in single images; a video's face is followed alone
SMALL_SCORE = 0.6  # the graph uses this threshold whatever is requested


def opened(graph: str) -> Any:
    """Open the peer's graph of this name."""
    solutions: Any = import_module("mediapipe.python.solutions")
    if graph == "small":
        return solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=SMALL_SCORE)
    if graph == "person":
        return solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
    still = graph == "still"
    faces = MAX_FACES if still else 1
    return solutions.face_mesh.FaceMesh(static_image_mode=still, refine_landmarks=True, max_num_faces=faces)


def findings(result: Any, graph: str, width: int, height: int) -> list[Any]:
    """Return the findings of a graph in one frame."""
    if graph == "person":
        return [result.segmentation_mask]
    if graph == "small":
        boxes = [(each.location_data.relative_bounding_box, each.score[0]) for each in result.detections or ()]
        scale = width, height, width, height, 1
        return [np.array([b.xmin, b.ymin, b.xmin + b.width, b.ymin + b.height, s]) * scale for b, s in boxes]
    size = np.array([width, height, width], np.float32)
    faces = result.multi_face_landmarks or ()
    return [np.array([(p.x, p.y, p.z) for p in face.landmark], np.float32) * size for face in faces]


def first(path: str) -> None:
    """Print the seconds to the first face's points, without those for reading the frame."""
    before = time.perf_counter()
    frame = np.load(path)[0]
    reading = time.perf_counter() - before
    findings(opened("video").process(frame), "video", *frame.shape[1::-1])[0]
    print(time.perf_counter() - _STARTED - reading)


def serve() -> None:
    """Answer requests until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        frames = np.load(request["frames"])
        model = opened(request["graph"])
        seconds, count, everything = [], [], []
        began = time.process_time()
        for frame in frames:
            started = time.perf_counter()
            found = findings(model.process(frame), request["graph"], *frame.shape[1::-1])
            seconds.append(time.perf_counter() - started)
            count.append(len(found))
            everything += found
        processor_s = (time.process_time() - began) / len(frames)
        model.close()
        np.savez(request["out"], count=count, found=np.array(everything, np.float32))
        print(json.dumps({"seconds": seconds, "processor_s": processor_s}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "first":
        first(sys.argv[2])
    else:
        serve()
