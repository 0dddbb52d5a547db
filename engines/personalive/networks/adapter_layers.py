"""The two modules that follow every layer of the denoising network: motion and time.

Both are a transformer block of two attentions and a gated feed-forward, added to its input. In the motion module each
pixel of a frame attends to that frame's 32 motion tokens; in the temporal module each pixel attends to itself in the 16
frames of the window.
"""

import math

import torch
from diffusers.models.attention import FeedForward
from torch import Tensor, nn

from engines.personalive.networks.attention import Attention

HEADS = 8
MOTION_WIDTH = 16  # numbers per motion token
POSITIONS = 32  # length of the position table; the window uses 16


class Positions(nn.Module):
    """Sine at even, cosine at odd channels (Vaswani et al. 2017). Position 0 is the oldest frame of the window."""

    pe: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        # on the CPU, so that a network created on the "meta" device still has its table
        frequency = torch.exp(torch.arange(0, channels, 2, device="cpu") * (-math.log(10000.0) / channels))
        angle = torch.arange(POSITIONS, device="cpu")[:, None] * frequency
        self.register_buffer("pe", torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[None])


class TemporalAttention(Attention):
    """Attention of each pixel to itself over the window."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, HEADS)
        self.pos_encoder = Positions(channels)

    def forward(self, hidden: Tensor, context: Tensor | None = None) -> Tensor:
        by_pixel = hidden.transpose(0, 1) + self.pos_encoder.pe[:, : hidden.shape[0]]
        return super().forward(by_pixel).transpose(0, 1)


class AttentionBlock(nn.Module):
    """The attentions in sequence, then the feed-forward; each gets the normalised input and is added to it."""

    def __init__(self, channels: int, attentions: list[Attention]) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList(attentions)
        self.norms = nn.ModuleList([nn.LayerNorm(channels) for _ in attentions])
        self.ff = FeedForward(channels, activation_fn="geglu")
        self.ff_norm = nn.LayerNorm(channels)

    def forward(self, hidden: Tensor, context: Tensor | None = None) -> Tensor:
        for attention, norm in zip(self.attention_blocks, self.norms, strict=True):
            hidden = attention(norm(hidden), context) + hidden
        forwarded: Tensor = self.ff(self.ff_norm(hidden)) + hidden
        return forwarded


class PixelTransformer(nn.Module):
    """Transforms the pixels of images as tokens by one block, added to the input."""

    def __init__(self, channels: int, attentions: list[Attention]) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([AttentionBlock(channels, attentions)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, hidden: Tensor, context: Tensor | None = None) -> Tensor:
        tokens = self.proj_in(self.norm(hidden).flatten(2).transpose(1, 2))
        tokens = self.proj_out(self.transformer_blocks[0](tokens, context))
        return tokens.transpose(1, 2).reshape(hidden.shape) + hidden


class MotionModule(nn.Module):
    """Module from (f, c, h, w) frames and (f, 32, 16) motion tokens to (f, c, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        attentions = [Attention(channels, HEADS, MOTION_WIDTH) for _ in range(2)]
        self.temporal_transformer = PixelTransformer(channels, attentions)

    def forward(self, hidden: Tensor, motion: Tensor) -> Tensor:
        moved: Tensor = self.temporal_transformer(hidden, motion)
        return moved


class TemporalModule(nn.Module):
    """Module from (f, c, h, w) frames, oldest first, to (f, c, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        attentions: list[Attention] = [TemporalAttention(channels) for _ in range(2)]
        self.temporal_transformer = PixelTransformer(channels, attentions)

    def forward(self, hidden: Tensor) -> Tensor:
        steadied: Tensor = self.temporal_transformer(hidden)
        return steadied
