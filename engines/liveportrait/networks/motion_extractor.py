"""Motion extractor: from a 256-pixel face crop to canonical keypoints, expression, pose, scale and shift.

ConvNeXt V2 (arXiv 2301.00808) with seven linear heads. Attribute names are the published checkpoints' keys. Other
engines that move a portrait by the same keypoints also use this module.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

POINTS = 21  # implicit keypoints
BINS = 66  # bins of a head angle, 3 degrees each
DEPTHS, WIDTHS = (3, 3, 9, 3), (96, 192, 384, 768)
EPS = 1e-6  # of all layer norms and of the response norm


class ChannelNorm(nn.Module):
    """Layer norm over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, EPS).permute(
            0, 3, 1, 2
        )


class ResponseNorm(nn.Module):
    """Global response normalisation of (B, H, W, C): scales each channel by its energy relative to the mean of all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        energy = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
        share = energy / (energy.mean(dim=-1, keepdim=True) + EPS)
        return self.gamma * (x * share) + self.beta + x


class ResidualBlock(nn.Module):
    """One residual block: depthwise 7x7, then two pointwise layers in channels-last."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.grn = ResponseNorm(4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.pwconv2(self.grn(nn.functional.gelu(self.pwconv1(y))))
        return x + y.permute(0, 3, 1, 2)


class Detector(nn.Module):
    """Four stages of blocks, the mean over the image, and the linear heads."""

    def __init__(self, points: int, bins: int, depths: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, widths[0], 4, stride=4), ChannelNorm(widths[0]))
        halves = [nn.Sequential(ChannelNorm(a), nn.Conv2d(a, b, 2, stride=2)) for a, b in pairwise(widths)]
        self.downsample_layers = nn.ModuleList([stem, *halves])
        self.stages = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(depth)))
            for depth, width in zip(depths, widths, strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1], eps=EPS)
        heads = {"kp": 3 * points, "scale": 1, "pitch": bins, "yaw": bins, "roll": bins, "t": 3, "exp": 3 * points}
        self.heads = tuple(heads)
        for name, size in heads.items():
            self.add_module(f"fc_{name}", nn.Linear(widths[-1], size))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        for shrink, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(shrink(x))
        x = self.norm(x.mean(dim=(2, 3)))
        return {name: self.get_submodule(f"fc_{name}")(x) for name in self.heads}


class MotionExtractor(nn.Module):
    """Network from (B, 3, 256, 256) RGB 0..1 to the raw heads.

    The heads are `kp`, `exp` (B, 63), `t` (B, 3), `scale` (B, 1) and the logits `pitch`, `yaw`, `roll` (B, 66). Run it
    in float32: lower precision is visible as jitter. Non-default sizes are for tests.
    """

    def __init__(
        self,
        points: int = POINTS,
        bins: int = BINS,
        depths: Sequence[int] = DEPTHS,
        widths: Sequence[int] = WIDTHS,
    ) -> None:
        super().__init__()
        self.detector = Detector(points, bins, depths, widths)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        heads: dict[str, Tensor] = self.detector(image)
        return heads
