"""Latents of a window, blended from its own and its neighbours' results of the previous step.

Every window stores its own result without blending. Blending happens when a step reads its input. Each latent frame
then depends only on the windows that contain it, so the windows of a step may be computed in any order and in any
process, with the same result.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from engines.stableavatar.layout import LatentWindow, Layout

Scheme = Literal["uniform", "log"]


def blend_weights(overlap: int, scheme: Scheme) -> Tensor:
    """Return the share of the later window in each frame of an overlap, (overlap,) float32 from 0 to 1."""
    if overlap == 1:
        return torch.zeros(1)  # the later window's first frame is fixed to the image
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
    """Return the latents of `window` after `step`, (1, 16, n, h, w) in the precision of the stored results.

    made: returns the result of a window in that step, (1, 16, len(w), h, w). In the first step the later window wins in
        every overlap. The original rounds them to bfloat16 at every step.
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
