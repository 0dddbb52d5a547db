"""Stopwatch for work on a GPU or a CPU, and the device's matrix multiplication rate as a reference for its times."""

import resource
import time
from itertools import pairwise
from typing import Any

import torch

LARGE = {"cuda": 8192, "cpu": 1536}  # side of the matrices that a device's rate is measured with
TRIES = 8


class Stopwatch:
    """Measures the milliseconds between marks.

    On a GPU a mark is a CUDA event, which does not synchronise. On a CPU it is the processor time of all threads, which
    other work on the machine hardly changes.
    """

    def __init__(self, device: torch.device) -> None:
        self._gpu = device.type == "cuda"
        self._marks: list[Any] = []

    def mark(self) -> None:
        """Set a mark: the end of one lap and the beginning of the next."""
        if self._gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.process_time())

    def laps(self) -> list[float]:
        """Return the milliseconds between consecutive marks, and clear the marks."""
        marks, self._marks = self._marks, []
        if self._gpu:
            torch.cuda.synchronize()
            return [float(a.elapsed_time(b)) for a, b in pairwise(marks)]
        return [(b - a) * 1e3 for a, b in pairwise(marks)]


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the device's TFLOP/s in the fastest of TRIES large matrix products."""
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
    """Return the name of the GPU, or "CPU" with its number of threads."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def memory_mb(device: torch.device) -> int:
    """Return the peak memory in MiB, of the GPU since its counter was last reset, or else of the process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device)) >> 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
