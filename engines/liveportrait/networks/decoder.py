"""Decoder: from the warped feature map to the image, by spatially adaptive normalisation (SPADE, arXiv 1903.07291)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.liveportrait.networks.upsampled_conv import Enlarged

MIDDLE = 6  # blocks at the map's own size
LEAK = 0.2
EPS = 1e-5


class Spade(nn.Module):
    """Instance norm whose scale and shift are computed from the feature map."""

    def __init__(self, channels: int, map_channels: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared: nn.Module = nn.Sequential(nn.Conv2d(map_channels, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)
        self.both: nn.Module | None = None

    def forward(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Normalise `x` and modulate it by the feature map.

        drawn: the map, or, once fused, the output of `mlp_shared` for it.
        """
        if self.both is None:
            drawn = self.mlp_shared(drawn)
            gamma, beta = self.mlp_gamma(drawn), self.mlp_beta(drawn)
        else:
            gamma, beta = self.both(drawn).chunk(2, dim=1)
        exact = x.float()  # statistics overflow in half precision
        variance, mean = torch.var_mean(exact, dim=(2, 3), keepdim=True, correction=0)
        normal = ((exact - mean) * torch.rsqrt(variance + EPS)).to(x.dtype)
        return normal * (1 + gamma) + beta

    def fuse(self) -> None:
        """Compute scale and shift by one convolution; the decoder computes `mlp_shared` for several norms together."""
        self.both = _side_by_side([self.mlp_gamma, self.mlp_beta])
        del self.mlp_gamma, self.mlp_beta, self.mlp_shared


class SpadeBlock(nn.Module):
    """Residual block of two convolutions, each after an adaptive norm; a shortcut that changes width has a third."""

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

    @property
    def norms(self) -> list[Spade]:
        return [self.norm_0, self.norm_1, *([self.norm_s] if self.conv_s is not None else [])]

    def forward(self, x: Tensor, drawn: Sequence[Tensor]) -> Tensor:
        """Apply the block to features.

        drawn: the input of each of `norms`, in their order.
        """
        y = self.conv_0(nn.functional.leaky_relu(self.norm_0(x, drawn[0]), LEAK))
        y = self.conv_1(nn.functional.leaky_relu(self.norm_1(y, drawn[1]), LEAK))
        short: Tensor = x if self.conv_s is None else self.conv_s(self.norm_s(x, drawn[2]))
        return short + y


class SpadeDecoder(nn.Module):
    """Decoder from (B, 4 * width, 64, 64) to (B, 3, 512, 512) RGB 0..1. Non-default sizes are for tests.

    Published weights use spectral norm, which is folded into the weights on loading.
    """

    def __init__(self, width: int = 64, hidden: int = 128) -> None:
        super().__init__()
        seg, wide = 4 * width, 8 * width
        self.fc = nn.Conv2d(seg, wide, 3, padding=1)
        for i in range(MIDDLE):
            self.add_module(f"G_middle_{i}", SpadeBlock(wide, wide, seg, hidden))
        self.up_0 = SpadeBlock(wide, seg, seg, hidden)
        self.up_1 = SpadeBlock(seg, width, seg, hidden)
        self.conv_img = nn.Sequential(nn.Conv2d(width, 12, 3, padding=1), nn.PixelShuffle(2))
        self.shared: nn.ModuleList | None = None

    def forward(self, seg: Tensor) -> Tensor:
        x = self.fc(seg)
        drawn = self._drawn(0, seg)
        for i in range(MIDDLE):
            x = self.get_submodule(f"G_middle_{i}")(x, drawn[2 * i : 2 * i + 2])
        for i, block in enumerate((self.up_0, self.up_1)):
            x = block(nn.functional.interpolate(x, scale_factor=2), self._drawn(i + 1, seg))
        return torch.sigmoid(self.conv_img(nn.functional.leaky_relu(x, LEAK)))

    def fuse(self) -> None:
        """Merge convolutions into fewer, wider ones with the same result: norms of one size share an input map."""
        middle = [norm for i in range(MIDDLE) for norm in self.get_submodule(f"G_middle_{i}").norms]
        groups = [middle, self.up_0.norms, self.up_1.norms]
        wide = [_side_by_side([norm.mlp_shared[0] for norm in group]) for group in groups]
        self.shared = nn.ModuleList([wide[0], Enlarged(wide[1], 2), Enlarged(wide[2], 4)])
        for norm in [norm for group in groups for norm in group]:
            norm.fuse()

    def _drawn(self, group: int, seg: Tensor) -> Sequence[Tensor]:
        """Return the input of each norm of one size.

        That is the map at that size or, once fused, the norm's own chunk of the outputs computed for all of them.
        """
        count = 3 if group else 2 * MIDDLE
        if self.shared is not None:
            parts: Sequence[Tensor] = torch.relu(self.shared[group](seg)).chunk(count, dim=1)
            return parts
        return [nn.functional.interpolate(seg, scale_factor=2**group) if group else seg] * count


def _side_by_side(convs: list[nn.Conv2d]) -> nn.Conv2d:
    """Return one convolution whose outputs are those of several convolutions of the same input, concatenated."""
    first = convs[0]
    outputs = sum(conv.out_channels for conv in convs)
    with torch.device(first.weight.device):
        wide = nn.Conv2d(first.in_channels, outputs, first.kernel_size, padding=first.padding)
    wide.weight.data = torch.cat([conv.weight.data for conv in convs])
    wide.bias.data = torch.cat([conv.bias.data for conv in convs])
    return wide.eval().requires_grad_(False)
