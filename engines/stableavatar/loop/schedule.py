"""The noise schedule and its Euler step, and the noise that a clip begins as.

Flow matching (Lipman et al. 2023): at level sigma a latent is (1 - sigma) data + sigma noise, and the network predicts
noise minus data. The levels are shifted towards noise. The published model was made with a lowest level that is shifted
twice, which a library may call a fault one day: so the levels are computed here.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor

SHIFT = 5.0
TRAINED_STEPS = 1000  # times are levels times this
CHANNELS = 16


def sigmas(steps: int) -> Tensor:
    """(steps + 1,) float32: the level before each step, and 0 at last."""
    lowest = float(shifted(torch.tensor(1.0) / TRAINED_STEPS))  # in float32, as the model knew it
    even = torch.from_numpy(np.linspace(TRAINED_STEPS, lowest * TRAINED_STEPS, steps)) / TRAINED_STEPS
    return torch.cat([shifted(even), torch.zeros(1)]).float()


def shifted(levels: Tensor) -> Tensor:
    """Levels moved towards noise."""
    return SHIFT * levels / (1 + (SHIFT - 1) * levels)


def euler(latents: Tensor, velocity: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """One step from one level to the next, in the velocity's precision. before, after: () float32."""
    return (latents.float() + (after - before) * velocity).to(velocity.dtype)


def clean_estimate(latents: Tensor, velocity: Tensor, level: Tensor) -> Tensor:
    """The data that a prediction points at."""
    return latents.float() - level * velocity.float()


def original_noise(seed: int, latents: int, size: tuple[int, int]) -> Tensor:
    """(1, 16, latents, h, w) bfloat16 of the whole clip at once, as the original makes it on a CPU."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((1, CHANNELS, latents, *size), generator=generator, dtype=torch.bfloat16)


def frame_noise(seed: int, start: int, stop: int, size: tuple[int, int]) -> Tensor:
    """(1, 16, stop - start, h, w) float32.

    Each latent frame has its own, by seed and number: memory does not grow with the clip, and whatever window asks gets
    the same.
    """
    frames = [_noise(seed, frame, size) for frame in range(start, stop)]
    return torch.stack(frames, 1)[None]


def _noise(seed: int, frame: int, size: tuple[int, int]) -> Tensor:
    digest = hashlib.sha256(f"stableavatar {seed} {frame}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
    return torch.randn((CHANNELS, *size), generator=generator)
