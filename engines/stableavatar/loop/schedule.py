"""The noise schedule and its Euler step, and the initial noise of a clip.

Flow matching (Lipman et al. 2023): at level sigma a latent is (1 - sigma) data + sigma noise, and the network predicts
noise minus data. The levels are shifted towards noise. The published model was trained with a lowest level that is
shifted twice; a library might treat that as a bug and correct it, so the levels are computed here.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor

SHIFT = 5.0
TRAINED_STEPS = 1000  # a time is a level times this
CHANNELS = 16


def sigmas(steps: int) -> Tensor:
    """Return the level before each step, and a final 0, (steps + 1,) float32."""
    lowest = float(shifted(torch.tensor(1.0) / TRAINED_STEPS))  # in float32, as in the model's training
    even = torch.from_numpy(np.linspace(TRAINED_STEPS, lowest * TRAINED_STEPS, steps)) / TRAINED_STEPS
    return torch.cat([shifted(even), torch.zeros(1)]).float()


def shifted(levels: Tensor) -> Tensor:
    """Return levels shifted towards noise."""
    return SHIFT * levels / (1 + (SHIFT - 1) * levels)


def euler(latents: Tensor, velocity: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Advance from one level to the next, in the velocity's precision. before, after: levels, () float32."""
    return (latents.float() + (after - before) * velocity).to(velocity.dtype)


def clean_estimate(latents: Tensor, velocity: Tensor, level: Tensor) -> Tensor:
    """Return the data that a prediction implies."""
    return latents.float() - level * velocity.float()


def original_noise(seed: int, latents: int, size: tuple[int, int]) -> Tensor:
    """Return the noise of the whole clip, (1, 16, latents, h, w) bfloat16, as the original generates it on a CPU."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((1, CHANNELS, latents, *size), generator=generator, dtype=torch.bfloat16)


def frame_noise(seed: int, start: int, stop: int, size: tuple[int, int]) -> Tensor:
    """Return noise, (1, 16, stop - start, h, w) float32.

    Each latent frame has its own noise, by seed and number, so memory does not grow with the clip, and every window
    gets the same noise for a frame.
    """
    frames = [_noise(seed, frame, size) for frame in range(start, stop)]
    return torch.stack(frames, 1)[None]


def _noise(seed: int, frame: int, size: tuple[int, int]) -> Tensor:
    digest = hashlib.sha256(f"stableavatar {seed} {frame}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
    return torch.randn((CHANNELS, *size), generator=generator)
