"""The noise schedule: four levels, one for each chunk of the window, and the DDIM step between them.

DDIM (Song et al. 2021), equations 12 and 16 without added noise; betas "scaled linear" from 0.00085 to 0.02.
"""

import torch
from torch import Tensor

CHUNK_FRAMES = 4  # frames that enter and leave at each call
CHUNKS = 4  # chunks in the window, one for each noise level
WINDOW_FRAMES = CHUNK_FRAMES * CHUNKS
FILL = WINDOW_FRAMES - CHUNK_FRAMES  # frames that the first call interpolates between portrait and driver
STEP = 333
LEVELS = (0, 333, 666, 999)  # time steps, oldest chunk first
TIMES = tuple(level for level in LEVELS for _ in range(CHUNK_FRAMES))  # of each frame of the window


def alphas() -> Tensor:
    """Return the share of the image's power that remains at each time step, (1000,) float32."""
    return torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.02**0.5, 1000, dtype=torch.float32) ** 2, 0)


class Schedule:
    """The schedule's constants on one device."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        table = alphas()
        times = torch.tensor(TIMES)
        now = table[times]
        before = torch.where(times >= STEP, table[(times - STEP).clamp(min=0)], torch.ones(()))
        # roots in float32 whatever the network computes in, as in the checkpoints' training
        roots = (now**0.5, (1 - now) ** 0.5, before**0.5, (1 - before) ** 0.5)
        kept = (now, *roots)
        self._level, self._now, self._noise, self._before, self._noise_before = (
            each.view(-1, 1, 1, 1).to(device) for each in kept
        )

    def add_noise(self, clean: Tensor, noise: Tensor, place: slice) -> Tensor:
        """Add noise to frames for the time steps of their positions in the window.

        clean, noise: (f, 4, h, w). The roots are computed in the frames' own precision, as in the original.
        """
        level = self._level[place].to(clean.dtype)
        return level**0.5 * clean + (1 - level) ** 0.5 * noise

    def denoise_level(self, frames: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """Return the window one level cleaner, and the clean frames that the prediction implies.

        frames, predicted noise: (16, 4, h, w). For the oldest chunk both results are equal. float32 at least.
        """
        clean = (frames - self._noise * predicted) / self._now
        return self._before * clean + self._noise_before * predicted, clean
