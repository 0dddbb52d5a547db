"""Times of pieces of work on a GPU or a CPU, and how fast the device multiplies matrices, to hold them against."""

import resource
import time
from itertools import pairwise
from typing import Any

import torch

LARGE = {"cuda": 8192, "cpu": 1536}  # side of the matrices that a device's rate is measured with
TRIES = 8


class Stopwatch:
    """Milliseconds between marks.

    On a GPU marks are events, which nothing waits for; on a CPU they are processor time of all threads, which other
    work on the machine does not change much.
    """

    def __init__(self, device: torch.device) -> None:
        self._gpu = device.type == "cuda"
        self._marks: list[Any] = []

    def mark(self) -> None:
        """Here one piece ends and the next begins."""
        if self._gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.process_time())

    def laps(self) -> list[float]:
        """The pieces between the marks so far, which are forgotten."""
        marks, self._marks = self._marks, []
        if self._gpu:
            torch.cuda.synchronize()
            return [float(a.elapsed_time(b)) for a, b in pairwise(marks)]
        return [(b - a) * 1e3 for a, b in pairwise(marks)]


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """TFLOP/s of the best of a few large matrix products."""
    side = LARGE[device.type]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    watch, best = Stopwatch(device), float("inf")
    a @ b
    for _ in range(TRIES):
        watch.mark()
        a @ b
        watch.mark()
        best = min(best, watch.laps()[0])
    return 2 * side**3 / best / 1e9


def describe(device: torch.device) -> str:
    """The device in words."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def memory_mb(device: torch.device) -> int:
    """Peak memory so far: of the GPU since its counter was last reset, otherwise of the process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device)) >> 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
