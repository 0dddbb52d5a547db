"""Mouth coefficients from the audio network's outputs.

They are scaled, and limited where the mouth would open further than a mouth does.
"""

import numpy as np

from engines.dhlive.generation import Generation
from engines.dhlive.networks.sizes import COEFFICIENTS
from shared.media.array_types import FloatArray

SCALE = 0.5  # of the mini networks' outputs
SECOND = 0.8  # of the second one besides, in the first mini generation
WIDEST, CLOSED = -45.0, 0.0  # canonical units by which the inner lips' middles may part


class Stabiliser:
    """Coefficients one after the other. `last` is the last one that a mouth can make, (6,)."""

    def __init__(self, generation: Generation, opening: FloatArray) -> None:
        """opening: (6,) what a unit of each coefficient adds to the way between the middles of the inner lips."""
        self._generation, self._opening = generation, opening
        self.last = np.zeros(COEFFICIENTS, np.float32)

    def scaled(self, output: FloatArray) -> FloatArray:
        """(6,) as the generation's mesh takes them."""
        if self._generation is Generation.OLD:
            return output
        scaled = output * np.float32(SCALE)
        if self._generation is Generation.MINI1:
            scaled[1] *= np.float32(SECOND)
        return scaled

    def next_coefficients(self, output: FloatArray) -> FloatArray:
        """(6,) float32 of an output of the network.

        The second mini generation's lips that cross, or part too far, go only half the way from the last ones that did
        not.
        """
        scaled = self.scaled(output)
        if self._generation is not Generation.MINI2:
            return scaled
        if not WIDEST <= float(self._opening @ scaled) <= CLOSED:
            return np.asarray(scaled * np.float32(0.5) + self.last * np.float32(0.5), np.float32)
        self.last = scaled
        return scaled
