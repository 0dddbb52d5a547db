"""Warping network: moves the source's feature volume to the positions of the driving keypoints."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from engines.liveportrait.networks.layers import ConvNorm, Down, Up, fold_norm

VARIANCE = 0.01  # of a keypoint's heat map
LEAK = 0.01


@dataclass(frozen=True, slots=True)
class Warped:
    """Warped features and their origin.

    out: (B, 4 * width, 64, 64) for the decoder. deformation: (B, D, 64, 64, 3) coordinates from which each voxel is
        sampled. occlusion: (B, 1, 64, 64) 0..1, how reliable each feature is.
    """

    out: Tensor
    deformation: Tensor
    occlusion: Tensor


class Hourglass(nn.Module):
    """Encoder and decoder through `sizes`, with skip connections."""

    def __init__(self, inputs: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        steps = (inputs, *sizes)
        self.encoder = nn.Module()
        self.encoder.down_blocks = nn.ModuleList(Down(a, b, volume=True) for a, b in pairwise(steps))
        ups, channels = [], sizes[-1]
        for out, skip in zip((*sizes[-2::-1], sizes[0] // 2), steps[-2::-1], strict=True):
            ups.append(Up(channels, out, volume=True))
            channels = out + skip
        self.channels = channels
        self.decoder = nn.Module()
        self.decoder.up_blocks = nn.ModuleList(ups)
        self.decoder.conv = nn.Conv3d(channels, channels, 3, padding=1)
        self.decoder.norm = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        skips = [x]
        for block in self.encoder.down_blocks:
            skips.append(block(skips[-1]))
        x = skips.pop()
        for block in self.decoder.up_blocks:
            x = torch.cat([block(x), skips.pop()], dim=1)
        return torch.relu(self.decoder.norm(self.decoder.conv(x)))


class DenseMotion(nn.Module):
    """Network that estimates which keypoint's motion each voxel follows."""

    def __init__(self, points: int, channels: int, depth: int, compress: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.compress = nn.Conv3d(channels, compress, 1)
        self.norm = nn.BatchNorm3d(compress)
        self.hourglass = Hourglass((points + 1) * (compress + 1), sizes)
        self.mask = nn.Conv3d(self.hourglass.channels, points + 1, 7, padding=3)
        self.occlusion = nn.Conv2d(self.hourglass.channels * depth, 1, 7, padding=3)

    def compressed(self, volume: Tensor) -> Tensor:
        """Compress the feature volume to (B, 4, D, H, W); the result depends on the source alone."""
        return torch.relu(self.norm(self.compress(volume)))

    def forward(self, compressed: Tensor, source: Tensor, driving: Tensor) -> tuple[Tensor, Tensor]:
        batch, _, *size = compressed.shape
        grid = identity_grid(size, source)
        moves = grid + (source - driving)[:, :, None, None, None]  # (B, K, D, H, W, 3)
        moves = torch.cat([grid.expand(batch, 1, *size, 3), moves], dim=1)
        seen = self._seen(compressed, moves)
        heat = _heat(grid, driving) - _heat(grid, source)
        heat = torch.cat([torch.zeros_like(heat[:, :1]), heat], dim=1)
        x = torch.cat([heat[:, :, None].to(seen.dtype), seen], dim=2).flatten(1, 2)
        x = self.hourglass(x)
        mask = torch.softmax(self.mask(x).to(moves.dtype), dim=1)
        deformation = torch.einsum("bkdhw,bkdhwc->bdhwc", mask, moves)
        return deformation, torch.sigmoid(self.occlusion(x.flatten(1, 2)))

    def _seen(self, compressed: Tensor, moves: Tensor) -> Tensor:
        """Return the source warped by each candidate motion, (B, K, 4, D, H, W)."""
        batch, count = moves.shape[:2]
        many = compressed.to(moves.dtype)[:, None].expand(batch, count, *compressed.shape[1:])
        out = sample(many.flatten(0, 1), moves.flatten(0, 1))
        return out.unflatten(0, (batch, count)).to(compressed.dtype)


class WarpingNetwork(nn.Module):
    """Network from a feature volume (B, 32, 16, 64, 64) and (B, 21, 3) keypoints to the decoder's input.

    The grids stay in float32 even if the convolutions use half precision. Non-default sizes are for tests.
    """

    def __init__(
        self,
        points: int = 21,
        width: int = 64,
        channels: int = 32,
        depth: int = 16,
        compress: int = 4,
        sizes: tuple[int, ...] = (64, 128, 256, 512, 1024),
    ) -> None:
        super().__init__()
        self.dense_motion_network = DenseMotion(points, channels, depth, compress, sizes)
        self.third = ConvNorm(channels * depth, 4 * width, slope=LEAK)
        self.fourth = nn.Conv2d(4 * width, 4 * width, 1)

    def forward(self, volume: Tensor, source: Tensor, driving: Tensor, compressed: Tensor | None = None) -> Warped:
        """Warp the volume from the source's keypoints to the driving ones.

        compressed: `dense_motion_network.compressed(volume)`, if it was kept.
        """
        dense = self.dense_motion_network
        compressed = dense.compressed(volume) if compressed is None else compressed
        deformation, occlusion = dense(compressed, source, driving)
        moved = sample(volume.to(deformation.dtype), deformation).to(volume.dtype)
        out = self.fourth(self.third(moved.flatten(1, 2))) * occlusion
        return Warped(out, deformation, occlusion)

    def fuse(self) -> None:
        """Fold each batch norm into its convolution, with the same result."""
        for block in [block for block in self.modules() if isinstance(block, ConvNorm)]:
            fold_norm(block, "conv")
        fold_norm(self.dense_motion_network.hourglass.decoder, "conv")
        fold_norm(self.dense_motion_network, "compress")


def identity_grid(size: list[int], like: Tensor) -> Tensor:
    """Return coordinates x, y, z of a (D, H, W) volume, (1, 1, D, H, W, 3), -1..1 with both ends included."""
    axes = [2 * torch.arange(n, dtype=like.dtype, device=like.device) / (n - 1) - 1 for n in size]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y, z], dim=-1)[None, None]


def sample(volume: Tensor, grid: Tensor) -> Tensor:
    """Sample the volume at the grid's coordinates, zero outside.

    The grid includes both ends but the sampling does not, as in the training: even without motion the volume is
    slightly resampled.
    """
    return nn.functional.grid_sample(volume, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _heat(grid: Tensor, points: Tensor) -> Tensor:
    """Return a Gaussian around each keypoint, (B, K, D, H, W)."""
    away = grid - points[:, :, None, None, None]
    return torch.exp(-0.5 / VARIANCE * away.square().sum(dim=-1))
