"""A function of tensors, recorded on a GPU once and replayed, so that hundreds of kernel launches become one.

In mode "reduce-overhead" PyTorch records what it compiles by itself, but per thread, and in live operation the thread
that opens a session is not the one that draws. A recording of this module can be replayed by any thread, one at a time.
This module has not been run on a GPU yet.
"""

from collections.abc import Callable

import torch
from torch import Tensor

WARM = 3  # calls before recording, during which kernels are compiled and libraries allocate their workspace

Shapes = tuple[torch.Size, ...]


class CudaGraph:
    """`work`, a function of GPU tensors, recorded once per combination of input shapes. Not thread-safe.

    The next call overwrites the tensor that it returns.
    """

    def __init__(self, work: Callable[..., Tensor]) -> None:
        self._work = work
        self._recordings: dict[Shapes, _Recording] = {}

    def __call__(self, *given: Tensor) -> Tensor:
        """Call the function. Raises torch.OutOfMemoryError."""
        shapes = tuple(each.shape for each in given)
        recording = self._recordings.get(shapes)
        if recording is None:
            with torch.cuda.device(given[0].device):
                recording = self._recordings[shapes] = _Recording(self._work, given)
        return recording.play(given)


class _Recording:
    """A recorded graph for one set of shapes."""

    def __init__(self, work: Callable[..., Tensor], given: tuple[Tensor, ...]) -> None:
        self._given = [each.clone() for each in given]
        self._last: tuple[Tensor | None, ...] = (None,) * len(given)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM):
                work(*self._given)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        # Another engine may be running in another thread while this one is opened.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._out = work(*self._given)

    def play(self, given: tuple[Tensor, ...]) -> Tensor:
        for kept, new, last in zip(self._given, given, self._last, strict=True):
            if new is not last:  # so a still source's volume is copied only once
                kept.copy_(new)
        self._last = given
        self._graph.replay()
        return self._out
