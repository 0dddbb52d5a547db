"""Appearance extractor: from a face crop to the feature volume that all frames are drawn from."""

from torch import Tensor, nn

from engines.liveportrait.networks.layers import ConvNorm, Down, VolumeResidual


class AppearanceExtractor(nn.Module):
    """Network from (B, 3, 256, 256) RGB 0..1 to (B, channels, depth, 64, 64). Non-default sizes are for tests."""

    def __init__(self, width: int = 64, channels: int = 32, depth: int = 16, residuals: int = 6) -> None:
        super().__init__()
        self.shape = channels, depth
        self.first = ConvNorm(3, width)
        self.down_blocks = nn.ModuleList([Down(width, 2 * width), Down(2 * width, 4 * width)])
        self.second = nn.Conv2d(4 * width, channels * depth, 1)
        self.resblocks_3d = nn.Sequential()
        for i in range(residuals):
            self.resblocks_3d.add_module(f"3dr{i}", VolumeResidual(channels))

    def forward(self, image: Tensor) -> Tensor:
        x = self.first(image)
        for block in self.down_blocks:
            x = block(x)
        x = self.second(x)
        volume: Tensor = self.resblocks_3d(x.reshape(len(x), *self.shape, *x.shape[2:]))
        return volume
