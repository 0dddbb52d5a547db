"""Small convolutional network that turns an image of the head's key points into a feature for the UNet."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class PoseGuider(nn.Module):
    """Network from images in 0..1, (f, 3, 8 h, 8 w), to features, (f, channels, h, w)."""

    def __init__(self, channels: int = 320, widths: tuple[int, ...] = (16, 32, 96, 256)) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for narrow, wide in pairwise(widths):
            self.blocks += [nn.Conv2d(narrow, narrow, 3, padding=1), nn.Conv2d(narrow, wide, 3, padding=1, stride=2)]
        self.conv_out_modify = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.silu(self.conv_in(images))
        for convolution in self.blocks:
            hidden = F.silu(convolution(hidden))
        feature: Tensor = self.conv_out_modify(hidden)
        return feature
