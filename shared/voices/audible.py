"""Where the sound of a sentence begins and ends: a voice has silence around it, which belongs to no caption."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUIET = 128  # of 32768, -48 dB: above the noise of a synthetic voice, below its softest consonant


@dataclass(slots=True)
class AudibleSpan:
    """Samples of a sentence from the first that can be heard up to but not including `stop`.

    None until one was heard.
    """

    first: int | None = None
    stop: int | None = None

    def add(self, samples: NDArray[np.int16], at: int) -> None:
        """Take in (n,) int16 of which `at` is the number of the first."""
        heard = np.flatnonzero((samples > QUIET) | (samples < -QUIET))
        if len(heard):
            if self.first is None:
                self.first = at + int(heard[0])
            self.stop = at + int(heard[-1]) + 1
