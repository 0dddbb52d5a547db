"""Samples of the network's current results: generated from a clip's first frame and speech, shown beside the film."""

from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray
from torch import Tensor

from engines.stableavatar.decode import VideoDecoder, frames_of
from engines.stableavatar.layout import PER_LATENT
from engines.stableavatar.loop.guidance import Guidance, predicted
from engines.stableavatar.loop.schedule import TRAINED_STEPS, euler, frame_noise, sigmas
from engines.stableavatar.networks.loading import load_vae_file
from engines.stableavatar.networks.transformer import Transformer
from engines.stableavatar.weights import Model
from training.stableavatar.preparation import TrainingClip

SHOWN, STEPS = 6, 10
GUIDANCE = Guidance(3.0, 5.0)


def sampled(network: Transformer, clip: TrainingClip, steps: int = STEPS) -> Tensor:
    """Return latents, (1, 16, f, h, w), generated as the engine does."""
    shape, levels = clip.latents.shape, sigmas(steps)
    latents = frame_noise(1, 0, shape[2], (shape[3], shape[4])).to(network.device)
    with torch.no_grad(), torch.autocast(network.device.type, torch.bfloat16, enabled=network.dtype is torch.bfloat16):
        texts = [clip.text if which else clip.negative for which in GUIDANCE.texts]
        for step in range(steps):

            def predict(samples: list[int], heard: tuple[bool, ...], at: int = step, now: Tensor = latents) -> Tensor:
                found: Tensor = network(
                    now,
                    clip.condition,
                    (levels[at] * TRAINED_STEPS)[None].to(network.device),
                    network.see([texts[each] for each in samples], clip.image),
                    clip.features,
                    heard=heard,
                    frames=PER_LATENT * (shape[2] - 1) + 1,
                )
                return found

            velocity = predicted(GUIDANCE, predict, "apart")
            latents = euler(latents, velocity.float(), *levels[step : step + 2])
    return latents


def write_sample(network: Transformer, model: Model, clip: TrainingClip, path: Path) -> None:
    """Write a sheet: frames of the film above, the network's frames below."""
    made = sampled(network, clip)
    with torch.no_grad():
        vae = load_vae_file(model, network.device)
        rows = [_row(vae, latents) for latents in (clip.latents, made)]
    cv2.imwrite(str(path), np.ascontiguousarray(np.concatenate(rows)[..., ::-1]))


def _row(vae: AutoencoderKLWan, latents: Tensor) -> NDArray[np.uint8]:
    frames = np.concatenate([frames_of(each) for each in VideoDecoder(vae).decode(latents.split(1, 2))])
    numbers = np.linspace(0, len(frames) - 1, SHOWN).astype(np.int64)
    return np.concatenate(list(frames[numbers]), axis=1)
