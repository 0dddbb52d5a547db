"""The 256-pixel network of the first generation: 36 GMAC a frame. Attribute names are the published checkpoint's keys."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engines.dhlive.networks.adaat import AdaatConv, ChannelMotion, Residual, pooled

REFERENCES = 5
SIDE_PX = 256


class OldPerson(NamedTuple):
    """Reference features (B, 256, 64, 64), and the moved ones' source with its channels mixed (`ChannelMotion.mixed`)."""

    features: Tensor
    mixed: Tensor


class OldNetwork(nn.Module):
    """(B, 3, 256, 256) RGB 0..1, a face without its mouth, and (B, 3, 256, 256), a small mouth image in its place, to the
    face with a mouth."""

    def __init__(self) -> None:
        super().__init__()
        self.source_in_conv = nn.Sequential(
            AdaatConv(6, 32, 7), AdaatConv(32, 64, stride=2), AdaatConv(64, 128, stride=2)
        )
        self.ref_in_conv = nn.Sequential(
            AdaatConv(3 * 2 * REFERENCES, 64, 7),
            AdaatConv(64, 128, stride=2),
            AdaatConv(128, 256, stride=2),
        )
        self.trans_conv = nn.Sequential(
            AdaatConv(384, 128), AdaatConv(128, 128, 7), AdaatConv(128, 128, stride=2), AdaatConv(128, 128, 7),
            AdaatConv(128, 128, stride=2), AdaatConv(128, 128), AdaatConv(128, 128, stride=2), AdaatConv(128, 128),
            AdaatConv(128, 128, stride=2),
        )  # fmt: skip
        self.appearance_conv_list = nn.ModuleList(nn.Sequential(Residual(256), Residual(256)) for _ in range(2))
        self.adaAT = ChannelMotion(128, 256)
        self.out_conv = nn.Sequential(
            AdaatConv(384, 128), AdaatConv(128, 128, enlarges=True), Residual(128), AdaatConv(128, 128, enlarges=True),
            nn.Conv2d(128, 3, 3, padding=1), nn.Sigmoid(),
        )  # fmt: skip

    def person(self, references: Tensor) -> OldPerson:
        """references: (B, 30, 256, 256): five frames 0..1, each RGB and RGB mouth image."""
        features = self.ref_in_conv(references)
        return OldPerson(features, self.adaAT.mixed(self.appearance_conv_list[0](features)))

    def forward(self, source: Tensor, prompt: Tensor, person: OldPerson) -> Tensor:
        seen = self.source_in_conv(torch.cat([source, prompt], 1))
        code = pooled(self.trans_conv(torch.cat([seen, person.features], 1)))
        moved = self.appearance_conv_list[1](self.adaAT(person.mixed, code))
        out: Tensor = self.out_conv(torch.cat([seen, moved], 1))
        return out
