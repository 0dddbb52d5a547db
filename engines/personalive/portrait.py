"""The encoded portrait that the networks use."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engines.personalive.image_tensor import clip_pixels, squashed
from engines.personalive.networks.networks import LATENT_SCALE, PersonaLiveNetworks
from engines.personalive.networks.unet import Memory


@dataclass(frozen=True, slots=True)
class EncodedPortrait:
    """A portrait encoded by the networks.

    image: (1, 3, s, s) in -1..1. latent: (1, 4, s / 8, s / 8). clip: (1, 1, width). memory: the portrait's keys and
        values that the denoising network attends to.
    """

    image: Tensor
    latent: Tensor
    clip: Tensor
    memory: Memory


def read_portrait(
    networks: PersonaLiveNetworks, image: NDArray[np.uint8], size: int, seen: NDArray[np.uint8] | None = None
) -> EncodedPortrait:
    """Encode a portrait for the networks.

    image: (h, w, 3) RGB. seen: the image for CLIP, if it is a different one.
    """
    pixels = squashed(image, size).to(networks.device, networks.dtype)
    clip = networks.clip(clip_pixels(image if seen is None else seen).to(networks.device, networks.dtype))
    embedding = clip.image_embeds[:, None]
    latent = networks.vae.encode(pixels).latent_dist.mean * LATENT_SCALE
    bank = networks.reference.read(latent, embedding)
    return EncodedPortrait(pixels, latent, embedding, networks.denoising.remember(bank, embedding))
