"""Live sound kept in step with the channel clock, whatever the clock of the sound card does.

A sound card that claims 48 kHz is off by ten to a few hundred parts per million: after an hour of counting samples
the voice would be a third of a second away from the lips. So the time of arrival is followed slowly, by playing the
voice up to half a per cent slower or faster, which is inaudible, and never by a jump, which is a click.
"""

import numpy as np
from numpy.typing import NDArray

from shared.media.voice_ring import stretched
from shared.runtime.clock import SOUND_RATE_HZ, US

AVERAGING_S = 4.0  # seconds over which arrival times are averaged: they jitter, the drift does not
BEGIN, ENOUGH = 4_000.0, 1_500.0  # us of distance at which correcting begins and ends
CORRECTION_S = 2.0  # seconds in which a distance is corrected
MOST = 0.005  # of speed
HOLE_US = 200_000  # us; further away than this it is not drift but a hole


class DriftCorrector:
    """Gives each block its place after the one before. One for every driver."""

    def __init__(self) -> None:
        self._end: float | None = None  # us after the last sample given out
        self._away = 0.0  # us that arrivals are later than that, averaged
        self._correcting = False

    def place_block(self, pts: int, samples: NDArray[np.int16]) -> tuple[int, NDArray[np.int16]]:
        """(pts, (m,) int16) for a block that arrived as belonging to `pts` microseconds.

        M may differ from n by 0.5 %.
        """
        if self._end is None or abs(pts - self._end) > HOLE_US:
            self._end, self._away, self._correcting = float(pts), 0.0, False
        share = min(1.0, len(samples) / (AVERAGING_S * SOUND_RATE_HZ))
        self._away += (pts - self._end - self._away) * share
        out = stretched(samples, round(len(samples) * (1 + self._correction())))
        at = self._end
        self._end += len(out) * US / SOUND_RATE_HZ
        # what has been corrected is no longer in the average
        self._away -= len(out) * US / SOUND_RATE_HZ - len(samples) * US / SOUND_RATE_HZ
        return round(at), out

    def _correction(self) -> float:
        """How much longer the next block is to last, as a share of it."""
        self._correcting = abs(self._away) > (ENOUGH if self._correcting else BEGIN)
        if not self._correcting:
            return 0.0
        return float(np.clip(self._away / (CORRECTION_S * US), -MOST, MOST))
