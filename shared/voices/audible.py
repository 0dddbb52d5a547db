"""Detects the audible part of a sentence's sound, because captions do not include the silence around it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUIET = 128  # of 32768, -48 dB: above the noise of a synthetic voice, below its quietest consonant


@dataclass(slots=True)
class AudibleSpan:
    """The audible samples of a sentence: from number `first` up to but not including `stop`.

    Both are None until a sample is audible.
    """

    first: int | None = None
    stop: int | None = None

    def add(self, samples: NDArray[np.int16], at: int) -> None:
        """Add (n,) int16 samples, of which the first has the number `at`."""
        heard = np.flatnonzero((samples > QUIET) | (samples < -QUIET))
        if len(heard):
            if self.first is None:
                self.first = at + int(heard[0])
            self.stop = at + int(heard[-1]) + 1
