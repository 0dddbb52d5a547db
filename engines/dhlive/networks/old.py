"""The 256-pixel network of the first generation: 36 GMAC per frame.

Attribute names are the published checkpoint's keys.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engines.dhlive.networks.adaat import AdaatConv, ChannelMotion, Residual, pooled

REFERENCES = 5
SIDE_PX = 256


class OldPerson(NamedTuple):
    """Reference features (B, 256, 64, 64), and the mixed channels (`ChannelMotion.mixed`) that are moved."""

    features: Tensor
    mixed: Tensor


class OldNetwork(nn.Module):
    """Network that draws the mouth into a face whose mouth was removed, (B, 3, 256, 256) RGB 0..1.

    A mouth image, (B, 3, 256, 256), determines the mouth.
    """

    def __init__(self, width: int = 128) -> None:
        """Build the layers.

        width: channels of most layers; the published network's by default, smaller for tests.
        """
        super().__init__()
        w = width
        self.source_in_conv = nn.Sequential(
            AdaatConv(6, w // 4, 7), AdaatConv(w // 4, w // 2, stride=2), AdaatConv(w // 2, w, stride=2)
        )
        self.ref_in_conv = nn.Sequential(
            AdaatConv(3 * 2 * REFERENCES, w // 2, 7), AdaatConv(w // 2, w, stride=2), AdaatConv(w, 2 * w, stride=2)
        )
        self.trans_conv = nn.Sequential(
            AdaatConv(3 * w, w), AdaatConv(w, w, 7), AdaatConv(w, w, stride=2), AdaatConv(w, w, 7),
            AdaatConv(w, w, stride=2), AdaatConv(w, w), AdaatConv(w, w, stride=2), AdaatConv(w, w),
            AdaatConv(w, w, stride=2),
        )  # fmt: skip
        self.appearance_conv_list = nn.ModuleList(nn.Sequential(Residual(2 * w), Residual(2 * w)) for _ in range(2))
        self.adaAT = ChannelMotion(w, 2 * w)
        self.out_conv = nn.Sequential(
            AdaatConv(3 * w, w), AdaatConv(w, w, enlarges=True), Residual(w), AdaatConv(w, w, enlarges=True),
            nn.Conv2d(w, 3, 3, padding=1), nn.Sigmoid(),
        )  # fmt: skip

    def person(self, references: Tensor) -> OldPerson:
        """Return the tensors that the network keeps of a person.

        references: (B, 30, 256, 256): five frames 0..1, each as RGB and RGB mouth image.
        """
        features = self.ref_in_conv(references)
        return OldPerson(features, self.adaAT.mixed(self.appearance_conv_list[0](features)))

    def forward(self, source: Tensor, prompt: Tensor, person: OldPerson) -> Tensor:
        seen = self.source_in_conv(torch.cat([source, prompt], 1))
        code = pooled(self.trans_conv(torch.cat([seen, person.features], 1)))
        moved = self.appearance_conv_list[1](self.adaAT(person.mixed, code))
        out: Tensor = self.out_conv(torch.cat([seen, moved], 1))
        return out
