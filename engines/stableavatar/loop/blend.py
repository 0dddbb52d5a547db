"""Latents of a window out of what the windows beside it made in the step before.

Every window keeps its own result, unblended. Blending happens where a step reads: each latent frame then depends on the
windows that have it and on nothing else, so windows of a step may be done in any order, in any process, with the same
result.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from engines.stableavatar.layout import LatentWindow, Layout

Scheme = Literal["uniform", "log"]


def blend_weights(overlap: int, scheme: Scheme) -> Tensor:
    """(overlap,) float32: how much of the later window each frame of an overlap has, from 0 to 1."""
    if overlap == 1:
        return torch.zeros(1)  # the later window's first frame is pinned to the image
    if scheme == "uniform":
        return torch.tensor([frame / (overlap - 1) for frame in range(overlap)])
    rising = torch.log1p(torch.linspace(0, 1, overlap) * (torch.exp(torch.tensor(1.0)) - 1))
    return (rising - rising.min()) / (rising.max() - rising.min())


def joined(
    layout: Layout,
    window: LatentWindow,
    step: int,
    made: Callable[[LatentWindow], Tensor],
    scheme: Scheme,
) -> Tensor:
    """The latents of `window` after `step`, (1, 16, n, h, w) in the precision of what was made.

    made: (1, 16, len(w), h, w), the result of a window in that step. In the first step the later window wins wherever
    two overlap. The original's are rounded to bfloat16 at every step.
    """
    out: Tensor | None = None
    for each in layout.beside(window):
        frames = made(each)
        if out is None:
            out = frames.new_zeros((*frames.shape[:2], len(window), *frames.shape[3:]))
        low, high = max(each.start, window.start), min(each.stop, window.stop)
        new = frames[:, :, low - each.start : high - each.start].clone()
        blended = min(max(each.start + each.blended - low, 0), high - low)
        if each.number and step and blended:
            of_later = blend_weights(each.blended, scheme)[low - each.start :][:blended]
            of_later = of_later.to(new).view(1, 1, -1, 1, 1)
            earlier = out[:, :, low - window.start : low - window.start + blended]
            new[:, :, :blended] = new[:, :, :blended] * of_later + earlier * (1 - of_later)
        out[:, :, low - window.start : high - window.start] = _kept(new, layout)
    assert out is not None
    return out


def _kept(latents: Tensor, layout: Layout) -> Tensor:
    return latents.to(torch.bfloat16).to(latents.dtype) if layout.original else latents
