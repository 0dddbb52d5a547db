"""Seconds from the start of this file to the first face's points, in a process of its own: `first_points.py FRAMES`."""

import time

_STARTED = time.perf_counter()

import sys  # noqa: E402

import numpy as np  # noqa: E402

from shared.face.tracker import FaceTracker  # noqa: E402


def main(path: str) -> None:
    """Print the seconds to the first face's points, without those for reading the frame."""
    before = time.perf_counter()
    frame = np.load(path)[0]
    reading = time.perf_counter() - before
    if FaceTracker().track(frame) is None:
        sys.exit("no face")
    print(time.perf_counter() - _STARTED - reading)


if __name__ == "__main__":
    main(sys.argv[1])
