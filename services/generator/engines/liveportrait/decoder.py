"""Decoder: the warped feature map to the picture, by spatially adaptive normalisation (SPADE, arXiv 1903.07291)."""

import torch
from torch import Tensor, nn

LEAK = 0.2
EPS = 1e-5


class Spade(nn.Module):
    """Instance norm whose scale and shift are drawn from the map."""

    def __init__(self, channels: int, map_channels: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(map_channels, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, seg: Tensor) -> Tensor:
        a = self.mlp_shared(seg)
        # instance statistics in half precision overflow
        normal = nn.functional.instance_norm(x.float(), eps=EPS).to(x.dtype)
        return normal * (1 + self.mlp_gamma(a)) + self.mlp_beta(a)


class SpadeBlock(nn.Module):
    """Two convolutions after their adaptive norms; the shortcut has its own where the channels change."""

    def __init__(self, inputs: int, outputs: int, map_channels: int, hidden: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = nn.Conv2d(inputs, middle, 3, padding=1)
        self.conv_1 = nn.Conv2d(middle, outputs, 3, padding=1)
        self.norm_0 = Spade(inputs, map_channels, hidden)
        self.norm_1 = Spade(middle, map_channels, hidden)
        self.conv_s: nn.Module | None = None
        if inputs != outputs:
            self.conv_s = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.norm_s = Spade(inputs, map_channels, hidden)

    def forward(self, x: Tensor, seg: Tensor) -> Tensor:
        if seg.shape[2:] != x.shape[2:]:
            seg = nn.functional.interpolate(seg, size=x.shape[2:])
        y = self.conv_0(nn.functional.leaky_relu(self.norm_0(x, seg), LEAK))
        y = self.conv_1(nn.functional.leaky_relu(self.norm_1(y, seg), LEAK))
        short: Tensor = x if self.conv_s is None else self.conv_s(self.norm_s(x, seg))
        return short + y


class SpadeDecoder(nn.Module):
    """(B, 4 * width, 64, 64) to (B, 3, 512, 512) RGB 0..1. Sizes other than the published ones are for tests.

    Published weights carry spectral norm; `checkpoint.folded` takes it out when they are loaded.
    """

    def __init__(self, width: int = 64, hidden: int = 128) -> None:
        super().__init__()
        seg, wide = 4 * width, 8 * width
        self.fc = nn.Conv2d(seg, wide, 3, padding=1)
        for i in range(6):
            self.add_module(f"G_middle_{i}", SpadeBlock(wide, wide, seg, hidden))
        self.up_0 = SpadeBlock(wide, seg, seg, hidden)
        self.up_1 = SpadeBlock(seg, width, seg, hidden)
        self.conv_img = nn.Sequential(nn.Conv2d(width, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, seg: Tensor) -> Tensor:
        x = self.fc(seg)
        for i in range(6):
            x = self.get_submodule(f"G_middle_{i}")(x, seg)
        for block in (self.up_0, self.up_1):
            x = block(nn.functional.interpolate(x, scale_factor=2), seg)
        return torch.sigmoid(self.conv_img(nn.functional.leaky_relu(x, LEAK)))
