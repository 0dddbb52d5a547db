"""Painting of a film's face crop by a control image: the crop is warped, and a network draws its mouth.

The control image's warp moves the film's pixels, decreasingly towards the crop's edges. Pixels that it marks as mouth
are overwritten by its colours. The network draws the window in the middle, which is blended in with a soft mask.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engines.dhlive.generation import Geometry

SHARPNESS, INSIDE = 10.0, 0.9  # a pixel belongs to the mouth where its blue is near 0 or 1, not near 1/2


class CropPainter:
    """Paints faces of one generation, several at a time. Pure: the output depends only on the input."""

    def __init__(self, geometry: Geometry, edges: NDArray[np.uint8], window: NDArray[np.uint8]) -> None:
        """Store the masks.

        edges: (S, S) uint8, strength of the warp. window: (h, w) uint8, opacity of the network's window.
        """
        side = geometry.crop
        self._left, self._top = geometry.corner
        self._width, self._height = geometry.window
        self.edges = torch.from_numpy(edges / 255).float()[None, None]
        self.window = torch.from_numpy(window / 255).float()[None, None]
        identity = torch.eye(2, 3)[None]
        self._grid = functional.affine_grid(identity, [1, 1, side, side], align_corners=False)

    def to(self, device: torch.device) -> "CropPainter":
        """Move the buffers to this device and return the painter itself."""
        self.edges, self.window, self._grid = (each.to(device) for each in (self.edges, self.window, self._grid))
        return self

    def paint(self, source: Tensor, control: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the source with its first three channels painted, (B, C, S, S) 0..1.

        source: (B, C, S, S), C at least 3, RGB first. control: (B, 4, S, S) 0..1. network: draws windows, (B, 3, h, w).
        """
        mouth = functional.relu((control[:, 2:3] * 2 - 1).abs() - INSIDE) * SHARPNESS
        warp = ((control[:, :2] * 2 - 1) * self.edges).permute(0, 2, 3, 1)
        warped = functional.grid_sample(source, self._grid - warp, padding_mode="zeros", align_corners=False)
        rows, columns = slice(self._top, self._top + self._height), slice(self._left, self._left + self._width)
        marked = mouth[..., rows, columns]
        film = warped[:, :3, rows, columns] * (1 - marked)
        drawn = network(film + control[:, :3, rows, columns] * marked)
        warped[:, :3, rows, columns] = drawn * self.window + film * (1 - self.window)
        return warped
