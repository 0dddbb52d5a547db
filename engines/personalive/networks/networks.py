"""All networks of the engine together, on one device in one precision."""

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection

from engines.personalive.networks.unet import DenoisingUNet, ReferenceUNet


@dataclass(slots=True)
class PersonaLiveNetworks:
    """The networks of PersonaLive.

    extract, encode, guide: motion extractor (always float32: its rounding shows as jitter), motion encoder and pose
    guider. small_vae: a decoder of a sixteenth of the work, where there is one.
    """

    reference: ReferenceUNet
    denoising: DenoisingUNet
    extract: nn.Module
    encode: nn.Module
    guide: nn.Module
    vae: AutoencoderKL
    clip: CLIPVisionModelWithProjection
    small_vae: AutoencoderTiny | None = None

    def all(self) -> list[nn.Module]:
        """Every network that is there."""
        these = (
            self.reference,
            self.denoising,
            self.extract,
            self.encode,
            self.guide,
            self.vae,
            self.clip,
            self.small_vae,
        )
        return [network for network in these if network is not None]

    @property
    def device(self) -> torch.device:
        """Device of the denoising network, which the others share."""
        return self.denoising.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the denoising network."""
        return self.denoising.dtype

    def decode(self, latents: Tensor, small: bool = False) -> Tensor:
        """(f, 4, h, w) latents -> (f, 3, 8 h, 8 w) in about -1..1. small: by the small VAE, which must be there."""
        if small:
            assert self.small_vae is not None
            return self.small_vae.decode(latents).sample
        return self.vae.decode(1 / LATENT_SCALE * latents).sample


LATENT_SCALE = 0.18215  # of the VAE's latents, for unit variance; the small VAE has it within
