"""Correction of live sound for the drift between the sound card's clock and the channel clock.

A sound card with a nominal rate of 48 kHz is off by ten to a few hundred parts per million. If its samples were only
counted, the voice would be a third of a second away from the lips after an hour. So the voice follows its arrival times
slowly: it is played up to half a per cent slower or faster, which is inaudible. A jump would be heard as a click.
"""

import numpy as np
from numpy.typing import NDArray

from shared.media.voice_ring import stretched
from shared.runtime.clock import SOUND_RATE_HZ, US

AVERAGING_S = 4.0  # arrival times are averaged over this time, because they jitter and the drift does not
BEGIN, ENOUGH = 4_000.0, 1_500.0  # us of deviation at which a correction begins and ends
CORRECTION_S = 2.0  # time in which a deviation is corrected
MOST = 0.005  # largest relative change of speed
HOLE_US = 200_000  # a deviation of more us than this is a gap in the sound, not drift


class DriftCorrector:
    """Places each block of sound directly after the previous one, corrected for drift. One per driver."""

    def __init__(self) -> None:
        self._end: float | None = None  # us at the end of the last block
        self._away = 0.0  # us by which blocks arrive later than `_end`, averaged
        self._correcting = False

    def place_block(self, pts: int, samples: NDArray[np.int16]) -> tuple[int, NDArray[np.int16]]:
        """Return the corrected pts and the (m,) int16 samples of a block.

        pts: microseconds on the channel clock, by the block's arrival. samples: (n,) int16; m differs from n by at most
        0.5 %. After a gap of more than HOLE_US the block keeps its own pts.
        """
        if self._end is None or abs(pts - self._end) > HOLE_US:
            self._end, self._away, self._correcting = float(pts), 0.0, False
        share = min(1.0, len(samples) / (AVERAGING_S * SOUND_RATE_HZ))
        self._away += (pts - self._end - self._away) * share
        out = stretched(samples, round(len(samples) * (1 + self._correction())))
        at = self._end
        self._end += len(out) * US / SOUND_RATE_HZ
        # the correction is no longer part of the average deviation
        self._away -= len(out) * US / SOUND_RATE_HZ - len(samples) * US / SOUND_RATE_HZ
        return round(at), out

    def _correction(self) -> float:
        """Return by which share of its length the next block is to be stretched; negative to shorten it."""
        self._correcting = abs(self._away) > (ENOUGH if self._correcting else BEGIN)
        if not self._correcting:
            return 0.0
        return float(np.clip(self._away / (CORRECTION_S * US), -MOST, MOST))
