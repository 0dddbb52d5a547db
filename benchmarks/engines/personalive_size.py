"""Network sizes at which PersonaLive is compared with its original, and the input of both.

Nothing here imports the studio's engines: the original's process uses this module too, possibly with other libraries.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from harness.by_rule import seeded
from shared.media.array_types import ImageArray

CHUNK_FRAMES = 4  # frames that a call takes and returns
LEAD_CALLS = 3  # calls before the first one that returns frames of the driver
FAINT = 0.05  # factor on the noise: an untrained network does not predict it, and the remainder would drown the image


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """Size of every network, for both sides.

    frames: side of the frames in pixels. unet, vae, clip: arguments of the stock networks. extractor: depths and widths
    of the motion extractor's stages. encoder: whether the motion encoder is the real one, which the original has in one
    size only; otherwise both sides use a small stand-in.
    """

    name: str
    frames: int
    unet: dict[str, Any]
    guider: tuple[int, ...]
    vae: dict[str, Any]
    clip: dict[str, Any]
    extractor: tuple[tuple[int, ...], tuple[int, ...]]
    encoder: bool


def _unet(widths: tuple[int, ...], context: int) -> dict[str, Any]:
    return {
        "act_fn": "silu",
        "attention_head_dim": 8,
        "block_out_channels": widths,
        "cross_attention_dim": context,
        "in_channels": 4,
        "layers_per_block": 2,
        "norm_num_groups": 32,
        "out_channels": 4,
        "sample_size": 64,
    }


def _vae(widths: tuple[int, ...], layers: int, groups: int) -> dict[str, Any]:
    blocks = {f"{way}_block_types": (f"{way.title()}{kind}Block2D",) * 4 for way, kind in _WAYS}
    return {"block_out_channels": widths, "layers_per_block": layers, "norm_num_groups": groups, **blocks}


_WAYS = (("down", "Encoder"), ("up", "Decoder"))
FULL = NetworkSize(
    name="full",
    frames=512,
    unet=_unet((320, 640, 1280, 1280), 768),
    guider=(16, 32, 96, 256),
    vae=_vae((128, 256, 512, 512), 2, 32),
    clip={
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
        "projection_dim": 768,
    },
    extractor=((3, 3, 9, 3), (96, 192, 384, 768)),
    encoder=True,
)
TINY = NetworkSize(
    name="tiny",
    frames=128,
    unet=_unet((32, 64, 64, 64), 48),
    guider=(4, 8, 8, 16),
    vae=_vae((32, 32, 32, 32), 1, 16),
    clip={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 224,
        "patch_size": 32,
        "projection_dim": 48,
    },
    extractor=((1, 1, 2, 1), (8, 16, 24, 32)),
    encoder=False,
)
SIZES = {size.name: size for size in (FULL, TINY)}


def stock_vae(size: NetworkSize) -> Any:
    """Return the stock image encoder and decoder (VAE)."""
    return AutoencoderKL(**size.vae)


def clip(size: NetworkSize) -> Any:
    """Return the stock CLIP encoder of the portrait."""
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**size.clip))


class SizedStandIn(nn.Module):
    """A stand-in for the motion encoder: (f, 3, 224, 224) faces -> (f, 32, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.final_proj = nn.Linear(3 * 49, 512)

    def forward(self, faces: Tensor) -> Tensor:
        tokens: Tensor = self.final_proj(F.adaptive_avg_pool2d(faces, 7).flatten(1)).unflatten(1, (32, 16))
        return tokens


def portrait(size: NetworkSize) -> ImageArray:
    """(s, s, 3) RGB with soft shapes."""
    return _soft("portrait", size.frames)


def driver(size: NetworkSize, chunk: int) -> ImageArray:
    """(4, s, s, 3) RGB: the chunk's four frames of soft shapes that move."""
    whole = _soft("driver", size.frames)
    frames = range(CHUNK_FRAMES * chunk, CHUNK_FRAMES * (chunk + 1))
    return np.stack([np.roll(whole, (2 * i, i), (0, 1)) for i in frames])


@cache
def _soft(name: str, side: int) -> ImageArray:
    coarse = np.clip(seeded(name, (6, 6, 3)) * 60 + 128, 0, 255).astype(np.uint8)
    return np.array(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


class FaintNoise:
    """Noise source of both loops, (f, 4, h, w): the same noise for the same number of a draw."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype, self._draws = device, dtype, 0

    def __call__(self, shape: tuple[int, ...]) -> Tensor:
        self._draws += 1
        return torch.from_numpy(FAINT * seeded(f"noise/{self._draws}", shape)).to(self._device, self._dtype)
