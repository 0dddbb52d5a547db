"""The mouth network of the second mini generation: a control image determines motion, a style vector appearance.

A person is represented by 64 numbers, the style, computed once from reference images. Attribute names are the published
checkpoint's keys. This module is the definition, which can be trained; `mini2_folded` draws with its weights.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.dhlive.networks.sizes import STYLE

SLOPE = 0.1  # of the encoders' leaky rectifiers
SKIP_SIDES = (4, 2)  # sides of the source's squares, whose averages are added to the features of blocks 2 and 3


class Separable(nn.Module):
    """3x3 convolution of each channel alone, then 1x1 across the channels."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class Modulation(NamedTuple):
    """Effect of a style on a block: (B, C, 1, 1) each."""

    scale: Tensor
    bias: Tensor
    gate: Tensor


class StyleModulation(nn.Module):
    """Normalises each frame alone, then lets the style scale and shift it where a gate on the features opens."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(STYLE, channels), nn.ReLU(), nn.Linear(channels, 3 * channels))

    def of_style(self, style: Tensor) -> Modulation:
        """Return the modulation by a style.

        style: (B, 64).
        """
        return Modulation(*self.mlp(style)[..., None, None].chunk(3, dim=1))

    def forward(self, x: Tensor, style: Modulation) -> Tensor:
        plain = functional.instance_norm(x)
        return plain + torch.sigmoid(style.gate * x) * torch.addcmul(style.bias, plain, style.scale)


class MiniBlock(nn.Module):
    """One block of the decoder."""

    def __init__(self, conv: nn.Module, channels: int, enlarges: bool) -> None:
        super().__init__()
        self.conv = conv
        self.adain = StyleModulation(channels)
        self.enlarges = enlarges

    def enlarged(self, x: Tensor) -> Tensor:
        """Return the input of the convolution."""
        return functional.interpolate(x, scale_factor=2, mode="nearest") if self.enlarges else x

    def forward(self, x: Tensor, style: Modulation) -> Tensor:
        return functional.relu(self.adain(self.conv(self.enlarged(x)), style))


class Mini2Network(nn.Module):
    """Network that draws a mouth into a window, (B, 3, 80, 112) RGB 0..1, whose mouth shows class colours."""

    def __init__(self) -> None:
        super().__init__()
        self.motion_encoder = nn.Sequential(
            Separable(3, 32, 2), nn.LeakyReLU(SLOPE), Separable(32, 64, 2), nn.LeakyReLU(SLOPE),
            Separable(64, STYLE, 2), nn.LeakyReLU(SLOPE),
        )  # fmt: skip
        self.appearance_encoder = nn.Sequential(
            nn.Conv2d(12, 64, 3, 2, 1), nn.LeakyReLU(SLOPE), nn.Conv2d(64, 128, 3, 2, 1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(128, 256, 3, 2, 1), nn.LeakyReLU(SLOPE), nn.AdaptiveAvgPool2d(1), nn.Conv2d(256, STYLE, 1),
        )  # fmt: skip
        self.decoder_blocks = nn.ModuleList(
            [
                MiniBlock(nn.Conv2d(STYLE, 96, 3, padding=1), 96, False),
                MiniBlock(Separable(96, 48), 48, True),
                MiniBlock(Separable(48, 24), 24, True),
                MiniBlock(nn.Conv2d(24, 16, 3, padding=1), 16, True),
            ]
        )
        self.skip_fuse0 = nn.Conv2d(3, 48, 1)
        self.skip_fuse1 = nn.Conv2d(3, 24, 1)
        self.final_conv = nn.Conv2d(16, 3, 3, padding=1)

    def style(self, references: Tensor) -> Tensor:
        """Return the style, (B, 64), of three RGBA images, (B, 12, 80, 112) 0..1.

        The first image shows the face at rest, the other two an open mouth.
        """
        return torch.flatten(self.appearance_encoder(references), 1)

    def person(self, style: Tensor) -> list[Modulation]:
        """Return the effect of a style on each block; computed once per person."""
        return [block.adain.of_style(style) for block in self.decoder_blocks]

    def forward(self, source: Tensor, person: list[Modulation]) -> Tensor:
        x = self.motion_encoder(source)
        skips = (None, self.skip_fuse0, self.skip_fuse1, None)
        for number, (block, style, skip) in enumerate(zip(self.decoder_blocks, person, skips, strict=True)):
            x = block(x, style)
            if skip is not None:
                x = x + skip(functional.avg_pool2d(source, SKIP_SIDES[number - 1]))
        return torch.sigmoid(self.final_conv(x))
