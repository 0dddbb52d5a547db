"""Conversion of images to the networks' input and back."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

CLIP_SIZE_PX = 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the images that CLIP was trained on
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def tensor_of(images: Tensor) -> Tensor:
    """Convert (f, h, w, 3) uint8 RGB to (f, 3, h, w) float32 in -1..1, on the same device."""
    return images.permute(0, 3, 1, 2).float() / 255 * 2 - 1


def squashed(image: NDArray[np.uint8], size: int) -> Tensor:
    """Resize (h, w, 3) RGB to (1, 3, size, size) float32 in -1..1, by Lanczos, ignoring the aspect ratio."""
    resized = Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS)
    return tensor_of(torch.from_numpy(np.array(resized)[None]))


def clip_pixels(image: NDArray[np.uint8]) -> Tensor:
    """Convert (h, w, 3) RGB to (1, 3, 224, 224) float32: the middle square, as in CLIP's training."""
    height, width = image.shape[:2]
    scale = CLIP_SIZE_PX / min(height, width)
    size = (max(CLIP_SIZE_PX, int(width * scale)), max(CLIP_SIZE_PX, int(height * scale)))
    resized = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    left, top = ((side - CLIP_SIZE_PX) // 2 for side in size)
    square = np.array(resized)[top : top + CLIP_SIZE_PX, left : left + CLIP_SIZE_PX]
    scaled = (square.astype(np.float64) / 255).astype(np.float32)
    normal = (scaled - np.array(CLIP_MEAN, np.float32)) / np.array(CLIP_STD, np.float32)
    return torch.from_numpy(normal).permute(2, 0, 1)[None].contiguous()


def resize_tensor(images: Tensor, size: int) -> Tensor:
    """Resize (f, 3, h, w) to (f, 3, size, size), bilinear."""
    return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)


def bytes_of(decoded: Tensor) -> Tensor:
    """Convert (f, 3, h, w) in -1..1 to (f, h, w, 3) uint8 RGB."""
    whole = (decoded / 2 + 0.5).clamp(0, 1).mul(255).to(torch.uint8)
    return whole.permute(0, 2, 3, 1).contiguous()
