"""The mouth network of the second mini generation: the control image moves, a style vector colours.

A person is 64 numbers, their style, found once in reference images. Attribute names are the published checkpoint's keys.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.dhlive.networks.sizes import STYLE

SLOPE = 0.1  # of the encoders' leaky rectifiers
# Faces that a CPU takes through each block at once: what these take lies in a core's cache, what more take does not.
AT_ONCE = (8, 8, 4, 1)
EPSILON = 1e-5  # of the normalisation's variance


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
        """style: (B, 64)."""
        return Modulation(*self.mlp(style)[..., None, None].chunk(3, dim=1))

    def forward(self, x: Tensor, style: Modulation) -> Tensor:
        if torch.is_grad_enabled():
            plain = functional.instance_norm(x)
            return plain + torch.sigmoid(style.gate * x) * torch.addcmul(style.bias, plain, style.scale)
        return self._in_place(x, style)

    @staticmethod
    def _in_place(x: Tensor, style: Modulation) -> Tensor:
        """The same, channels last, in the memory that is there; sums over the plane are products with a row. Without it a
        frame takes a quarter longer."""
        batch, channels, height, width = x.shape
        scale, bias, opens = (each.flatten(1)[:, None] for each in style)
        pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        mean_of = pixels.new_full((1, height * width), 1 / (height * width))
        gate = (pixels * opens).sigmoid_()
        plain = pixels - mean_of @ pixels
        plain.mul_(torch.rsqrt(mean_of @ plain.square() + EPSILON))
        styled = gate.mul_(torch.addcmul(bias, plain, scale)).add_(plain)
        return styled.view(batch, height, width, channels).permute(0, 3, 1, 2)


class MiniBlock(nn.Module):
    """A step of the decoder."""

    def __init__(self, conv: nn.Module, channels: int, enlarges: bool) -> None:
        super().__init__()
        self.conv = conv
        self.adain = StyleModulation(channels)
        self.enlarges = enlarges

    def forward(self, x: Tensor, style: Modulation) -> Tensor:
        if self.enlarges:
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
        return functional.relu(self.adain(self.conv(x), style))


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
        for number, style in enumerate(person):
            at_once = len(x) if torch.is_grad_enabled() or x.device.type != "cpu" else AT_ONCE[number]
            if len(x) <= at_once:
                x = self._step(number, x, source, style)
            else:
                parts = zip(*(each.split(at_once) for each in (x, source, *style)), strict=True)
                x = torch.cat([self._step(number, part, seen, Modulation(*of)) for part, seen, *of in parts])
        return x

    def _step(self, number: int, x: Tensor, source: Tensor, style: Modulation) -> Tensor:
        """A block with what follows it."""
        x = self.decoder_blocks[number](x, style)
        if number == len(self.decoder_blocks) - 1:
            return torch.sigmoid(self.final_conv(x))
        skip = (None, self.skip_fuse0, self.skip_fuse1)[number]
        return x if skip is None else x + skip(functional.avg_pool2d(source, 8 >> number))
