"""Conditioning of a clip besides its speech: the reference image, as the transformer and CLIP receive it."""

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from engines.stableavatar.networks.encoders import encode_video
from shared.avatar.model import Avatar
from shared.media.colour import i420_to_rgb

MASK_CHANNELS = 4


def reference_image(avatar: Avatar, which: str, width: int, height: int, original: bool) -> NDArray[np.uint8]:
    """Return the first frame of a clip, (height, width, 3) RGB.

    which: "portrait", the square crop of the face, or "plate", the first frame of the whole host. The image is scaled
        to fit, and its border pixels are repeated where its shape differs. original: stretch the image instead, as the
        original does.
    """
    image = _image(avatar, which)
    if original:
        return np.asarray(Image.fromarray(image).resize((width, height)))
    rows, columns = _inner(image, width, height)
    inner = (columns.stop - columns.start, rows.stop - rows.start)
    smaller = inner[0] < image.shape[1]
    filter_ = Image.Resampling.LANCZOS if smaller else Image.Resampling.BICUBIC
    resized = np.asarray(Image.fromarray(image).resize(inner, filter_))
    around = ((rows.start, height - rows.stop), (columns.start, width - columns.stop), (0, 0))
    return np.pad(resized, around, mode="edge")


def cut_out(avatar: Avatar, which: str, width: int, height: int, original: bool) -> tuple[slice, slice]:
    """Return the rows and columns of the computed frames that show the reference image and are delivered. Both even."""
    if original:
        return slice(0, height), slice(0, width)
    return _inner(_image(avatar, which), width, height)


def _image(avatar: Avatar, which: str) -> NDArray[np.uint8]:
    return avatar.roi if which == "portrait" else i420_to_rgb(avatar.plate.frame(0))


def _inner(image: NDArray[np.uint8], width: int, height: int) -> tuple[slice, slice]:
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = [max(2, round(side * scale / 2) * 2) for side in image.shape[:2]]
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    return slice(top, top + inner[0]), slice(left, left + inner[1])


def image_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Convert (h, w, 3) RGB to (3, h, w) float32 in -1..1."""
    return (torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 - 0.5) * 2


def condition(vae: AutoencoderKLWan, image: Tensor, frames: int) -> Tensor:
    """Return the condition of a whole window, (1, 20, latent frames, h / 8, w / 8).

    It consists of a mask that marks the first latent frame as given, and the latents of a clip of `frames` frames that
    begins with the image and is grey after it. image: (3, h, w) in -1..1.

    Every window has the same condition, so the first latent frame of each is drawn towards the image.
    """
    clip = torch.zeros(1, 3, frames, *image.shape[1:])
    clip[0, :, 0] = image
    latents = encode_video(vae, clip)
    mask = torch.zeros(1, MASK_CHANNELS, *latents.shape[2:], device=latents.device)
    mask[:, :, 0] = 1
    return torch.cat([mask, latents], 1)
