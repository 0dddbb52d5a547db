"""Convolution blocks shared by the networks. Attribute names are the published checkpoints' keys."""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_norm(owner: nn.Module, conv: str, norm: str = "norm") -> None:
    """Fold a batch norm into the convolution before it, both in float32.

    Running variances may not fit into half precision.
    """
    folded = fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm))
    setattr(owner, conv, folded.requires_grad_(False))
    setattr(owner, norm, nn.Identity())


class ConvNorm(nn.Module):
    """3x3 (or 3x3x3) convolution, batch norm and rectifier."""

    def __init__(self, inputs: int, outputs: int, *, volume: bool = False, slope: float = 0.0) -> None:
        super().__init__()
        self.conv = (nn.Conv3d if volume else nn.Conv2d)(inputs, outputs, 3, padding=1)
        self.norm = (nn.BatchNorm3d if volume else nn.BatchNorm2d)(outputs)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return nn.functional.leaky_relu(x, self.slope) if self.slope else nn.functional.relu(x)


class Down(ConvNorm):
    """`ConvNorm` followed by halving the image plane; a volume keeps its depth."""

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        if x.ndim == 5 and not x.is_cuda:  # a CPU pools volumes in float32 only
            return nn.functional.avg_pool2d(x.flatten(1, 2), 2).unflatten(1, x.shape[1:3])
        return nn.functional.avg_pool3d(x, (1, 2, 2)) if x.ndim == 5 else nn.functional.avg_pool2d(x, 2)


class Up(ConvNorm):
    """`ConvNorm` after doubling the volume's image plane by repetition."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.interpolate(x, scale_factor=(1, 2, 2)))


class VolumeResidual(nn.Module):
    """Residual block of a volume: twice norm, rectifier and convolution, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm3d(channels)
        self.norm2 = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(torch.relu(self.norm1(x)))
        return x + self.conv2(torch.relu(self.norm2(y)))
