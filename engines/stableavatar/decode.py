"""Decoding of latents to frames, one latent frame at a time, so that memory does not grow with the clip."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray
from torch import Tensor

from engines.stableavatar.networks.encoders import latent_scale


class VideoDecoder:
    """The VAE's decoder with its memory of earlier latent frames; decodes one clip at a time."""

    def __init__(self, vae: AutoencoderKLWan) -> None:
        self._vae = vae
        self._scale = latent_scale(vae)

    def decode(self, latents: Iterable[Tensor]) -> Iterator[Tensor]:
        """Decode latent frames, (1, 16, 1, h, w) each, and yield their video frames in -1..1.

        (1, 3, 1, 8 h, 8 w) for the first, (1, 3, 4, 8 h, 8 w) for every other one.
        """
        vae, (mean, deviation) = self._vae, self._scale
        vae.clear_cache()
        remembered = vae._feat_map
        for number, each in enumerate(latents):
            given = vae.post_quant_conv(each.to(vae.device, vae.dtype) * deviation + mean)
            out = vae.decoder(given, feat_cache=remembered, feat_idx=[0], first_chunk=number == 0)
            yield out.clamp(-1, 1)
        vae.clear_cache()


def frames_of(decoded: Tensor, original: bool = False) -> NDArray[np.uint8]:
    """Convert (1, 3, n, h, w) in -1..1 to (n, h, w, 3) RGB, rounded to the nearest grey level.

    original: round down, as the original does.
    """
    unit = (decoded[0].float() / 2 + 0.5).clamp(0, 1).permute(1, 2, 3, 0) * 255
    whole = unit if original else unit.round()
    return np.ascontiguousarray(whole.to(torch.uint8).cpu().numpy())
