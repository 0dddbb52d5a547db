"""The initial noise of frames."""

import hashlib

import torch
from torch import Tensor

from engines.personalive.streams import send


class SeededNoise:
    """Normal noise, the same for the same seed and draw number on any device, because it is generated on the host."""

    def __init__(self, seed: int, device: torch.device, dtype: torch.dtype) -> None:
        self._seed, self._device, self._dtype = seed, device, dtype
        self.draws = 0

    def __call__(self, shape: tuple[int, ...]) -> Tensor:
        digest = hashlib.sha256(f"{self._seed}/{self.draws}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))  # it uses only 32 bits
        self.draws += 1
        return send(torch.randn(shape, generator=generator).to(self._dtype), self._device)
