"""Encodes a face's expression as 32 tokens of 16 numbers: a face alignment hourglass with attention between its stages.

The hourglass is FAN's (Bulat & Tzimiropoulos 2017); the names are those of the published checkpoint.
"""

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import PatchEmbed
from torch import Tensor, nn

from engines.personalive.networks.adapter_layers import AttentionBlock
from engines.personalive.networks.attention import Attention

FACE_SIZE_PX = 224
TOKENS, WIDTH = 32, 16


class ConvBlock(nn.Module):
    """Three consecutive convolutions whose outputs are concatenated and added to the input."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        half, quarter = outside // 2, outside // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(inside), nn.Conv2d(inside, half, 3, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, quarter, 3, padding=1, bias=False)
        self.bn3, self.conv3 = nn.BatchNorm2d(quarter), nn.Conv2d(quarter, quarter, 3, padding=1, bias=False)
        self.downsample: nn.Module = nn.Identity()
        if inside != outside:
            self.downsample = nn.Sequential(
                nn.BatchNorm2d(inside, eps=1e-4), nn.ReLU(), nn.Conv2d(inside, outside, 1, bias=False)
            )

    def forward(self, hidden: Tensor) -> Tensor:
        first = self.conv1(F.relu(self.bn1(hidden)))
        second = self.conv2(F.relu(self.bn2(first)))
        third = self.conv3(F.relu(self.bn3(second)))
        added: Tensor = torch.cat([first, second, third], 1) + self.downsample(hidden)
        return added


class HourGlass(nn.Module):
    """Recursive encoder and decoder: halves the size `depth` times and restores it, with skip connections."""

    def __init__(self, depth: int, channels: int) -> None:
        super().__init__()
        self.depth = depth
        for level in range(depth, 0, -1):
            for name in ("b1", "b2", "b3"):
                self.add_module(f"{name}_{level}", ConvBlock(channels, channels))
        self.b2_plus_1 = ConvBlock(channels, channels)

    def forward(self, hidden: Tensor) -> Tensor:
        return self._level(self.depth, hidden)

    def _level(self, level: int, hidden: Tensor) -> Tensor:
        low = self.get_submodule(f"b2_{level}")(F.max_pool2d(hidden, 2))
        low = self._level(level - 1, low) if level > 1 else self.b2_plus_1(low)
        low = self.get_submodule(f"b3_{level}")(low)
        skip: Tensor = self.get_submodule(f"b1_{level}")(hidden)
        return skip + F.interpolate(low, size=skip.shape[2:], mode="bilinear", align_corners=False)


class PatchAttention(nn.Module):
    """Attention between the patches of a feature image, added to it. (f, c, s, s) -> (f, c, s, s)."""

    def __init__(self, channels: int, size: int, patch: int, heads: int, head_width: int) -> None:
        super().__init__()
        width = heads * head_width
        self.patch = patch
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        self.pos_embed = PatchEmbed(size, size, patch, channels, width, interpolation_scale=1)
        self.transformer_blocks = nn.ModuleList([AttentionBlock(width, [Attention(width, heads)])])
        self.proj_out = nn.Linear(width // patch**2, channels)

    def forward(self, hidden: Tensor) -> Tensor:
        tokens = self.transformer_blocks[0](self.pos_embed(self.norm(hidden)))
        side = hidden.shape[-1] // self.patch
        pixels = self.proj_out(tokens.unflatten(-1, (self.patch, self.patch, -1)).unflatten(1, (side, side)))
        image = pixels.permute(0, 5, 1, 3, 2, 4).reshape(hidden.shape)  # f c, row of patches, row in it; then columns
        return image + hidden


class Features(nn.Module):
    """Network from faces, (f, 3, 224, 224), to features, (f, 512)."""

    def __init__(self, width: int, attention: int) -> None:
        super().__init__()
        double, four = 2 * width, 4 * width
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, stride=2, padding=3), nn.BatchNorm2d(width)
        self.conv2, self.conv3, self.conv4 = (
            ConvBlock(width, double),
            ConvBlock(double, double),
            ConvBlock(double, four),
        )
        self.m0, self.top_m_0 = HourGlass(4, four), ConvBlock(four, four)
        self.conv_last0, self.bn_end0 = nn.Conv2d(four, four, 1), nn.BatchNorm2d(four)
        self.l0, self.bn5 = nn.Conv2d(four, 68, 1), nn.BatchNorm2d(68)
        self.conv6, self.fc = nn.Conv2d(68, 1, 3, 2, 1), nn.Linear(28 * 28, TOKENS * WIDTH)
        self.att_1 = PatchAttention(double, 112, 4, 8, attention // 8)
        self.att_2 = PatchAttention(four, 56, 2, 8, attention // 8)
        self.att_3 = PatchAttention(four, 56, 2, 8, attention // 8)

    def forward(self, faces: Tensor) -> Tensor:
        hidden = self.att_1(self.conv2(F.relu(self.bn1(self.conv1(faces)))))
        hidden = self.att_2(self.conv4(self.conv3(F.max_pool2d(hidden, 2))))
        hidden = self.att_3(self.bn_end0(self.conv_last0(self.top_m_0(self.m0(hidden)))))
        hidden = self.conv6(F.relu(self.bn5(self.l0(F.relu(hidden)))))
        features: Tensor = self.fc(F.relu(hidden.flatten(1)))
        return features


class MotionEncoder(nn.Module):
    """Network from faces in -1..1, (f, 3, 224, 224), to motion tokens, (f, 32, 16)."""

    pe: Tensor

    def __init__(self, width: int = 64, attention: int = 1024) -> None:
        """Build the layers.

        width: channels of the first layer; attention: channels of the attentions. Non-default values are for tests.
        """
        super().__init__()
        self.model = Features(width, attention)
        self.final_proj = nn.Linear(TOKENS * WIDTH, TOKENS * WIDTH)
        self.register_buffer("pe", token_positions())

    def forward(self, faces: Tensor) -> Tensor:
        tokens: Tensor = self.final_proj(self.model(faces)).unflatten(-1, (TOKENS, WIDTH)) + self.pe
        return tokens


def token_positions() -> Tensor:
    """Return position codes, (1, 32, 16): sines of each token's position in the first half, cosines in the second."""
    frequency = 1.0 / 10000 ** (torch.arange(WIDTH // 2, dtype=torch.float64) / (WIDTH / 2))
    angle = torch.arange(TOKENS, dtype=torch.float64)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], 1)[None].float()
