"""Measure the time of one call on a GPU or a CPU, and set the number of threads that it may use."""

import statistics
import time
from collections.abc import Callable

import cv2

WARM_CALLS = 5  # uncounted calls on a GPU, because the first ones record CUDA graphs
MIN_GPU_CALLS = 30


def median_call_ms(work: Callable[[], object], rounds: int, seconds: float = 0.0) -> float:
    """Return the milliseconds that one call of `work` takes, from at least `rounds` calls over at least `seconds`.

    On a GPU: the median over at least MIN_GPU_CALLS calls, each timed until the device has finished. On a CPU, where a
    call takes seconds: the minimum processor time, after one call that is not counted.
    """
    import torch

    gpu = torch.cuda.is_available()
    clock = time.perf_counter if gpu else time.process_time
    times: list[float] = []
    for _ in range(WARM_CALLS if gpu else 1):
        work()
    begin = time.perf_counter()
    while len(times) < (max(rounds, MIN_GPU_CALLS) if gpu else rounds) or time.perf_counter() - begin < seconds:
        if gpu:
            torch.cuda.synchronize()
        start = clock()
        work()
        if gpu:
            torch.cuda.synchronize()
        times.append((clock() - start) * 1e3)
    return round(statistics.median(times) if gpu else min(times), 2)


def use_threads(count: int) -> None:
    """Set the number of threads of PyTorch and OpenCV; 0 keeps their defaults."""
    import torch

    if count:
        torch.set_num_threads(count)
        cv2.setNumThreads(count)
