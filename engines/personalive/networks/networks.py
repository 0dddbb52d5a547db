"""All networks of the engine, on one device and in one precision."""

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection

from engines.personalive.networks.unet import DenoisingUNet, ReferenceUNet


@dataclass(slots=True)
class PersonaLiveNetworks:
    """The networks of PersonaLive.

    extract, encode, guide: motion extractor (always float32, because rounding is visible as jitter), motion encoder and
        pose guider. small_vae: a decoder with a sixteenth of the work; None if not installed.
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
        """Return all networks that are present."""
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
        """Device of the denoising network, shared by the others."""
        return self.denoising.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the denoising network."""
        return self.denoising.dtype

    def decode(self, latents: Tensor, small: bool = False) -> Tensor:
        """Decode latents: (f, 4, h, w) -> (f, 3, 8 h, 8 w) in about -1..1. small: use the small VAE (required)."""
        if small:
            assert self.small_vae is not None
            return self.small_vae.decode(latents).sample
        return self.vae.decode(1 / LATENT_SCALE * latents).sample


LATENT_SCALE = 0.18215  # scales the VAE's latents to unit variance; the small VAE has it built in
