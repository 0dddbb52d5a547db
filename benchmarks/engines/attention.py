"""xFormers' attention compared with PyTorch's own, at the largest shapes that the diffusion engines ask for."""

import statistics
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.figures import BenchmarkFigures

if TYPE_CHECKING:
    import torch

    from engines.xformers_attention import Attend

# Batch, heads, tokens, width of a head.
SHAPES = {
    "personalive, 16 frames of 512x512": (16, 8, 4096, 40),
    "stableavatar, 81 frames of 512x512": (1, 12, 21 * 32 * 32, 128),
}
ROUNDS, CALLS = 5, 10


def compared(device: "torch.device", shapes: dict[str, tuple[int, int, int, int]] = SHAPES) -> BenchmarkFigures:
    """Time both attentions in float16 in turns; return the milliseconds of a call and the ratio of the two.

    Returns the reason instead if xFormers is not available.
    """
    from engines.xformers_attention import xformers_attention, xformers_problem

    if problem := xformers_problem(device):
        return {"left_out": f"xFormers {problem}."}
    return {name: beside(device, shape, xformers_attention) for name, shape in shapes.items()}


def beside(
    device: "torch.device", shape: tuple[int, int, int, int], attend: "Attend", calls: int = CALLS
) -> BenchmarkFigures:
    """Figures for one shape. attend: the attention that is compared with PyTorch's own."""
    import torch
    import torch.nn.functional as F

    from harness.stopwatch import Stopwatch

    given = [torch.randn(shape, device=device).half() for _ in range(3)]
    ways = {"torch_ms": partial(F.scaled_dot_product_attention, *given), "xformers_ms": partial(attend, *given)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    watch = Stopwatch(device)
    for _ in range(ROUNDS + 1):
        for name, way in ways.items():
            watch.mark()
            for _ in range(calls):
                way()
            watch.mark()
            times[name].append(watch.laps()[0] / calls)
    figures = {name: statistics.median(each[1:]) for name, each in times.items()}  # the first round chose kernels
    return figures | {"torch_over_xformers": figures["torch_ms"] / figures["xformers_ms"]}
