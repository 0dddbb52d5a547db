"""The adapter between speech features and the transformer.

Each latent frame has a group of audio features. The adapter lets them attend to that frame's tokens and combines them
with the time step, before the transformer attends to them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engines.attention import join_heads, split_heads
from engines.stableavatar.networks.layers import (
    Norm,
    RmsNorm,
    attend_by_group,
    fed,
    scale_shift,
)

HEADS, BLOCKS = 8, 2
WIDENED = 4  # additional features of a group on either side
PER_LATENT = 4  # video frames per latent frame


def group_ranges(features: int, frames: int) -> list[tuple[int, int]]:
    """Return first and last feature (inclusive) of each latent frame's group; indices may be out of range.

    frames: number of video frames that the features cover.
    """
    rate = features / frames
    half = int(rate * PER_LATENT / 2)
    latents = int((frames - 1) / PER_LATENT) + 1
    centres = [
        int((rate * ((i - 1) * PER_LATENT + 1) + rate * (i * PER_LATENT + 1)) / 2) - 1 for i in range(1, latents)
    ]
    ranges = [(centre - half, centre + half) for centre in centres]
    first = ranges[0][0]
    return [(first - 2 * half - WIDENED, first + WIDENED), *((a - WIDENED, b + WIDENED) for a, b in ranges)]


def grouped(features: Tensor, frames: int) -> Tensor:
    """Group features: (1, n, c) -> (1, latent frames, m, c). A group is padded with zeros at its end."""
    count = features.shape[1]
    groups = []
    for first, last in group_ranges(count, frames):
        held = features[:, max(first, 0) : max(min(last, count - 1) + 1, 0)]
        groups.append(torch.nn.functional.pad(held, (0, 0, 0, last - first + 1 - held.shape[1])))
    return torch.stack(groups, 1)


class FrameAttention(nn.Module):
    """Cross-attention of audio tokens to the latent tokens of their own frame."""

    def __init__(self, channels: int, latent_channels: int) -> None:
        super().__init__()
        self.q = nn.Linear(channels, channels)
        self.k = nn.Linear(latent_channels, channels)
        self.v = nn.Linear(latent_channels, channels)
        self.o = nn.Linear(channels, channels)
        self.norm_q = RmsNorm(channels)
        self.norm_k = RmsNorm(channels)

    def forward(self, audio: Tensor, tokens: Tensor, groups: int) -> Tensor:
        queries, keys = self.norm_q(fed(self.q, audio)), self.norm_k(fed(self.k, tokens))
        q, k, v = (split_heads(each, HEADS) for each in (queries, keys, fed(self.v, tokens)))
        return fed(self.o, join_heads(attend_by_group(q, k, v, groups)))


class AdapterBlock(nn.Module):
    """One block of the adapter. It has no self-attention, whose modulation it applies directly."""

    def __init__(self, channels: int, latent_channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = Norm(channels), Norm(channels), Norm(channels, affine=True)
        self.cross_attn = FrameAttention(channels, latent_channels)
        self.ffn = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(approximate="tanh"), nn.Linear(2 * channels, channels)
        )
        self.modulation = nn.Parameter(torch.zeros(1, 6, channels))

    def forward(self, audio: Tensor, time: Tensor, tokens: Tensor, groups: int) -> Tensor:
        m = (self.modulation + time).float().chunk(6, 1)
        audio = audio + scale_shift(self.norm1(audio), m[1], m[0]) * m[2]
        audio = audio + self.cross_attn(self.norm3(audio), tokens, groups)
        return audio + fed(self.ffn, scale_shift(self.norm2(audio), m[4], m[3])) * m[5]


class FinalHead(nn.Module):
    """The adapter's last layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = Norm(channels)
        self.final_proj = nn.Linear(channels, channels)
        self.modulation = nn.Parameter(torch.zeros(1, 2, channels))

    def forward(self, audio: Tensor, time: Tensor) -> Tensor:
        shift, scale = (self.modulation + time[:, None]).float().chunk(2, 1)
        return fed(self.final_proj, scale_shift(self.norm(audio), scale, shift))


class Projection(nn.Module):
    """Projection of speech features to the transformer's width."""

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Linear(features, channels, bias=False)
        self.norm = Norm(channels, affine=True, eps=1e-5)

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = self.norm(fed(self.proj, features).float())
        return found


class AudioAdapter(nn.Module):
    """Combines speech features with the latent tokens, for the transformer.

    features: channels of a speech feature. channels: channels of the transformer.
    """

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.proj_model = Projection(features, channels)
        self.blocks = nn.ModuleList(AdapterBlock(channels, channels) for _ in range(BLOCKS))
        self.final_head = FinalHead(channels)

    def forward(self, features: Tensor, frames: int, tokens: Tensor, time: Sequence[Tensor]) -> Tensor:
        """Adapt speech features: (1, n, features) -> (1, latent frames, m, channels).

        frames: number of video frames that the features cover. tokens: the latent frames' tokens, (1, t, channels).
            time: the transformer's six modulations, (1, 6, channels), and the time embedding that they come from, (1,
            channels).
        """
        modulations, embedded = time
        groups = grouped(self.proj_model(features), frames)
        count = groups.shape[1]
        audio = groups.flatten(1, 2)
        for block in self.blocks:
            audio = block(audio, modulations, tokens, count)
        return self.final_head(audio, embedded).unflatten(1, (count, -1))
