"""Layers shared by the transformer and its audio adapter: norms, attention by heads, positions and time.

Values are kept in the precision of the weights; norms, positions and the time sinusoids are computed in float32 or
better, as in the training of the checkpoints.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.attention import sdpa
from engines.xformers_attention import Attend

THETA = 10_000.0  # base of the wavelengths, for positions and for time


class RmsNorm(nn.Module):
    """Root-mean-square norm over all channels (Zhang and Sennrich 2019), before heads are split."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, hidden: Tensor) -> Tensor:
        wide = hidden.float()
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return scaled.to(hidden.dtype) * self.weight


class Norm(nn.LayerNorm):
    """Layer norm, computed in float32."""

    def __init__(self, channels: int, affine: bool = False, eps: float = 1e-6) -> None:
        super().__init__(channels, eps=eps, elementwise_affine=affine)

    def forward(self, hidden: Tensor) -> Tensor:
        weight, bias = (None if each is None else each.float() for each in (self.weight, self.bias))
        return F.layer_norm(hidden.float(), self.normalized_shape, weight, bias, self.eps).to(hidden.dtype)


class WideLinear(nn.Linear):
    """Linear layer that always computes in float32, with weights of any precision and inside autocast."""

    def forward(self, hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return F.linear(hidden.float(), self.weight.float(), None if self.bias is None else self.bias.float())


def fed(layer: nn.Module, hidden: Tensor) -> Tensor:
    """Apply a linear layer, or a sequence that begins and ends with one, in the precision of its weights."""
    out: Tensor = layer(hidden.to(next(layer.parameters()).dtype))
    return out


def attend_by_group(queries: Tensor, keys: Tensor, values: Tensor, groups: int, kernel: Attend = sdpa) -> Tensor:
    """Attention within groups: the i-th part of the queries attends to the i-th part of the keys alone.

    queries: (b, heads, groups * n, d). keys, values: (b, heads, groups * m, d). Returns the shape of the queries.
    """
    batch = len(queries)
    apart = [
        each.unflatten(2, (groups, -1)).transpose(1, 2).reshape(batch * groups, each.shape[1], -1, each.shape[-1])
        for each in (queries, keys, values)
    ]
    found = kernel(*apart).unflatten(0, (batch, groups))
    return found.transpose(1, 2).flatten(2, 3)


def scale_shift(hidden: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Scale and shift normalised tokens by the time modulation."""
    return hidden * (1 + scale) + shift


def sinusoid(times: Tensor, channels: int) -> Tensor:
    """Return the embedding of times in 0..1000: (b,) -> (b, channels) float32.

    Cosines, then sines, computed in float64 (float32 would deviate by 2e-5).
    """
    half = channels // 2
    exponents = torch.arange(half, dtype=torch.float64, device=times.device) / half
    angles = times.double()[:, None] * torch.pow(THETA, -exponents)
    return torch.cat([angles.cos(), angles.sin()], 1).float()


def positions(shape: tuple[int, int, int], head: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of each token's position, (frames * height * width, head / 2) float32 each.

    Rotary embedding (Su et al. 2021) in three dimensions: a third of a head's channel pairs rotates with the row, a
    third with the column, and the rest with the frame.
    """
    pairs = head // 2
    third = pairs // 3
    parts = []
    for axis, (count, size) in enumerate(zip(shape, (pairs - 2 * third, third, third), strict=True)):
        exponents = torch.arange(size, dtype=torch.float64, device=device) / size
        angles = torch.arange(count, dtype=torch.float64, device=device)[:, None] * torch.pow(THETA, -exponents)
        around = [1, 1, 1]
        around[axis] = count
        parts.append(angles.view(*around, size).expand(*shape, size))
    angles = torch.cat(parts, -1).flatten(0, 2)
    return angles.cos().float(), angles.sin().float()


def turned(tokens: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate tokens by their positions; tokens beyond the positions stay unchanged. tokens: (b, heads, n, d)."""
    count = len(cosines)
    pairs = tokens[:, :, :count].float().unflatten(-1, (-1, 2))
    a, b = pairs.unbind(-1)
    placed = torch.stack([a * cosines - b * sines, a * sines + b * cosines], -1).flatten(-2).to(tokens.dtype)
    return placed if count == tokens.shape[2] else torch.cat([placed, tokens[:, :, count:]], 2)
