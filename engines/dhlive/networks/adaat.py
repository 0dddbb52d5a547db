"""Layers of the two older generations: plain convolutions, and reference features moved channel by channel.

Attribute names are the published checkpoints' keys. The operator is AdaAT (Zhang and Ding 2022): each channel of a
reference feature map is rotated, scaled and shifted by its own affine map.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

HALF_TURN = 3.14159  # radians; with as many digits as the published weights were trained with


class AdaatConv(nn.Module):
    """Convolution, batch norm and rectifier, after an enlargement to twice the size if `enlarges`."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, *, enlarges: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2)
        self.norm = nn.BatchNorm2d(outputs)
        self.enlarges = enlarges

    def forward(self, x: Tensor) -> Tensor:
        if self.enlarges:
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
        return functional.relu(self.norm(self.conv(x)))


class Residual(nn.Module):
    """Residual block: norm, rectifier and convolution, twice, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.relu(self.norm1(x)))
        return x + self.conv2(functional.relu(self.norm2(y)))


class ChannelMotion(nn.Module):
    """Moves each channel of a feature map by an affine map computed from a code vector.

    The original samples a volume whose depth axis is the channel. Its depth coordinates mix the align-corners
    conventions, so each sampled channel is a fixed mixture of two channels. `mixed` computes that mixture once per
    person, and `forward` then samples the plane only.
    """

    def __init__(self, code: int, channels: int) -> None:
        super().__init__()
        self.commn_linear = nn.Sequential(nn.Linear(code, code), nn.ReLU())
        self.scale = nn.Sequential(nn.Linear(code, channels), nn.Sigmoid())
        self.rotation = nn.Sequential(nn.Linear(code, channels), nn.Tanh())
        self.translation = nn.Sequential(nn.Linear(code, 2 * channels), nn.Tanh())

    @staticmethod
    def mixed(features: Tensor) -> Tensor:
        """Sample (B, C, H, W) at depth c * C / (C - 1) - 1/2 for channel c: linear between two, zeros outside."""
        count = features.shape[1]
        depth = torch.linspace(-1, 1, count, dtype=torch.float64) * (count / 2) + (count - 1) / 2
        weights = (1 - (depth[:, None] - torch.arange(count)).abs()).clamp(min=0).to(features)
        return torch.einsum("dc,bchw->bdhw", weights, features)

    def forward(self, mixed: Tensor, code: Tensor) -> Tensor:
        height, width = mixed.shape[2:]
        code = self.commn_linear(code)
        turn = (HALF_TURN * self.rotation(code)).view(-1, 1)
        size = 2 * self.scale(code).view(-1, 1, 1)
        cos, sin = torch.cos(turn), torch.sin(turn)
        x = 2 * torch.arange(width, device=mixed.device, dtype=mixed.dtype) / (width - 1) - 1
        y = (2 * torch.arange(height, device=mixed.device, dtype=mixed.dtype) / (height - 1) - 1)[:, None]
        turned = torch.stack([cos[..., None] * x - sin[..., None] * y, sin[..., None] * x + cos[..., None] * y], dim=-1)
        grid = turned * size[..., None] + self.translation(code).view(-1, 1, 1, 2)
        flat = mixed.reshape(-1, 1, height, width)
        return functional.grid_sample(flat, grid, align_corners=False).view(mixed.shape)


def pooled(x: Tensor) -> Tensor:
    """Return the mean over the plane, (B, C)."""
    return functional.adaptive_avg_pool2d(x, 1).flatten(1)
