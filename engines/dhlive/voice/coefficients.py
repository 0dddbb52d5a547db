"""Mouth coefficients from the audio network's outputs.

They are scaled, and limited where the mouth would open wider than a mouth can.
"""

import numpy as np

from engines.dhlive.generation import Generation
from engines.dhlive.networks.sizes import COEFFICIENTS
from shared.media.array_types import FloatArray

SCALE = 0.5  # of the mini networks' outputs
SECOND = 0.8  # additional factor of the second one in the first mini generation
WIDEST, CLOSED = -45.0, 0.0  # range of the inner lips' distance, canonical units, negative when open


class Stabiliser:
    """Limits coefficients one after the other.

    last: the last coefficients within the limits, (6,).
    """

    def __init__(self, generation: Generation, opening: FloatArray) -> None:
        """Start with a mouth at rest.

        opening: (6,) how much a unit of each coefficient changes the distance between the inner lips.
        """
        self._generation, self._opening = generation, opening
        self.last = np.zeros(COEFFICIENTS, np.float32)

    def scaled(self, output: FloatArray) -> FloatArray:
        """Return (6,) coefficients scaled as the generation's mesh expects."""
        if self._generation is Generation.OLD:
            return output
        scaled = output * np.float32(SCALE)
        if self._generation is Generation.MINI1:
            scaled[1] *= np.float32(SECOND)
        return scaled

    def next_coefficients(self, output: FloatArray) -> FloatArray:
        """Return the coefficients for one output of the network, (6,) float32.

        In the second mini generation, an output whose lips cross or part too far is replaced by its mean with the last
        one that does not.
        """
        scaled = self.scaled(output)
        if self._generation is not Generation.MINI2:
            return scaled
        if not WIDEST <= float(self._opening @ scaled) <= CLOSED:
            return np.asarray(scaled * np.float32(0.5) + self.last * np.float32(0.5), np.float32)
        self.last = scaled
        return scaled
