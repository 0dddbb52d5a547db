"""The mouth network of the second mini generation: the control image moves, a style vector colours.

A person is 64 numbers, their style, found once in reference images. Attribute names are the published checkpoint's
keys. This is its definition, which learns; `mini2_folded` draws with its weights.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.dhlive.networks.sizes import STYLE

SLOPE = 0.1  # of the encoders' leaky rectifiers
SKIP_SIDES = (4, 2)  # of the source's squares, whose averages join the second and the third block's features


class Separable(nn.Module):
    """3x3 convolution of each channel by itself, then 1x1 across them."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class Modulation(NamedTuple):
    """What a style does to a block: (B, C, 1, 1) each."""

    scale: Tensor
    bias: Tensor
    gate: Tensor


class StyleModulation(nn.Module):
    """Normalises each frame by itself and lets the style scale and shift it where a gate of the features opens."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(STYLE, channels), nn.ReLU(), nn.Linear(channels, 3 * channels))

    def of_style(self, style: Tensor) -> Modulation:
        """Modulation by a style.

        style: (B, 64).
        """
        return Modulation(*self.mlp(style)[..., None, None].chunk(3, dim=1))

    def forward(self, x: Tensor, style: Modulation) -> Tensor:
        plain = functional.instance_norm(x)
        return plain + torch.sigmoid(style.gate * x) * torch.addcmul(style.bias, plain, style.scale)


class MiniBlock(nn.Module):
    """A step of the decoder."""

    def __init__(self, conv: nn.Module, channels: int, enlarges: bool) -> None:
        super().__init__()
        self.conv = conv
        self.adain = StyleModulation(channels)
        self.enlarges = enlarges

    def enlarged(self, x: Tensor) -> Tensor:
        """The input of the convolution."""
        return functional.interpolate(x, scale_factor=2, mode="nearest") if self.enlarges else x

    def forward(self, x: Tensor, style: Modulation) -> Tensor:
        return functional.relu(self.adain(self.conv(self.enlarged(x)), style))


class Mini2Network(nn.Module):
    """(B, 3, 80, 112) RGB 0..1, the window with class colours in its mouth, to the same window with a mouth."""

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
        """(B, 64) of (B, 12, 80, 112): three RGBA images 0..1, of the face at rest and twice of an open mouth."""
        return torch.flatten(self.appearance_encoder(references), 1)

    def person(self, style: Tensor) -> list[Modulation]:
        """What a style does to each block; computed once for a person."""
        return [block.adain.of_style(style) for block in self.decoder_blocks]

    def forward(self, source: Tensor, person: list[Modulation]) -> Tensor:
        x = self.motion_encoder(source)
        skips = (None, self.skip_fuse0, self.skip_fuse1, None)
        for number, (block, style, skip) in enumerate(zip(self.decoder_blocks, person, skips, strict=True)):
            x = block(x, style)
            if skip is not None:
                x = x + skip(functional.avg_pool2d(source, SKIP_SIDES[number - 1]))
        return torch.sigmoid(self.final_conv(x))
