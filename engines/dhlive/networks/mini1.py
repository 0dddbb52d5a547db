"""The mouth network of the first mini generation. Attribute names are the published checkpoint's keys."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engines.dhlive.networks.adaat import AdaatConv, ChannelMotion, Residual, pooled
from engines.dhlive.networks.sizes import FEATURES

WIDTH = FEATURES[0]


class Mini1Person(NamedTuple):
    """Reference features (B, 20, 18, 18), and the same with their channels mixed (`ChannelMotion.mixed`)."""

    features: Tensor
    mixed: Tensor


class Mini1Network(nn.Module):
    """Network that draws a mouth into a window, (B, 3, 72, 72) RGB 0..1, whose mouth shows class colours."""

    def __init__(self) -> None:
        super().__init__()
        self.source_in_conv = nn.Sequential(
            AdaatConv(3, 12), AdaatConv(12, 12, stride=2), AdaatConv(12, WIDTH, stride=2)
        )
        self.ref_in_conv = nn.Sequential(
            AdaatConv(12, 16),
            AdaatConv(16, 16, stride=2),
            AdaatConv(16, 16),
            AdaatConv(16, WIDTH, stride=2),
        )
        self.trans_conv = nn.Sequential(AdaatConv(2 * WIDTH, WIDTH, stride=2), AdaatConv(WIDTH, WIDTH, stride=2))
        self.appearance_conv = nn.Sequential(Residual(WIDTH))
        self.adaAT = ChannelMotion(WIDTH, WIDTH)
        self.out_conv = nn.Sequential(
            AdaatConv(2 * WIDTH, WIDTH), AdaatConv(WIDTH, WIDTH, enlarges=True), AdaatConv(WIDTH, 16),
            AdaatConv(16, 16, enlarges=True), nn.Conv2d(16, 3, 3, padding=1), nn.Sigmoid(),
        )  # fmt: skip

    def features(self, references: Tensor) -> Tensor:
        """Return the reference features, (B, 20, 18, 18), of (B, 12, 72, 72): three RGBA images 0..1."""
        found: Tensor = self.ref_in_conv(references)
        return found

    def person(self, features: Tensor) -> Mini1Person:
        """Return the tensors that the network keeps of a person.

        features: (B, 20, 18, 18).
        """
        return Mini1Person(features, self.adaAT.mixed(features))

    def forward(self, source: Tensor, person: Mini1Person) -> Tensor:
        seen = self.source_in_conv(source)
        code = pooled(self.trans_conv(torch.cat([seen, person.features], 1)))
        moved = self.appearance_conv(self.adaAT(person.mixed, code))
        out: Tensor = self.out_conv(torch.cat([seen, moved], 1))
        return out
