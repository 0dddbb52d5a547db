"""Live sound kept in step with the channel clock, whatever the clock of the sound card does.

A card that says 48 kHz runs some ten to some hundred parts in a million beside it: after an hour of counting samples
the voice would be a third of a second away from the lips. So the time of arrival is followed slowly, by playing the
voice up to half a per cent slower or faster, which nobody hears, and never by a jump, which is a click.
"""

import numpy as np
from numpy.typing import NDArray

from shared.clock import US
from shared.media import SOUND_RATE

MEMORY = 4.0  # seconds over which arrival times are averaged: they tremble, the drift does not
BEGIN, ENOUGH = 4_000.0, 500.0  # us of distance at which correcting begins and ends
MEND = 2.0  # seconds in which a distance is to be made good
MOST = 0.005  # of speed
LOST = 200_000  # us; further away than this it is not drift but a hole


class Steady:
    """Gives each block its place after the one before. Made anew for every driver."""

    def __init__(self) -> None:
        self._end: float | None = None  # us after the last sample given out
        self._away = 0.0  # us that arrivals are later than that, averaged
        self._mending = False
        self._phase = 0.0  # of the next sample to give out, in samples of the block to come
        self._last = np.zeros(1, np.int16)

    def place(self, pts: int, samples: NDArray[np.int16]) -> tuple[int, NDArray[np.int16]]:
        """(pts, (m,) int16) for a block that arrived as belonging to `pts` microseconds; m may differ from n by 0.5 %."""
        if self._end is None or abs(pts - self._end) > LOST:
            self._end, self._away, self._mending = float(pts), 0.0, False
        share = min(1.0, len(samples) / (MEMORY * SOUND_RATE))
        self._away += (pts - self._end - self._away) * share
        speed = self._correction()
        out = self._stretched(samples, 1 / (1 + speed))
        at = self._end
        self._end += len(out) * US / SOUND_RATE
        # what has been made good is not in the average any more
        self._away -= len(out) * US / SOUND_RATE - len(samples) * US / SOUND_RATE
        return round(at), out

    def _correction(self) -> float:
        """How much longer the next block is to last, as a share of it."""
        self._mending = abs(self._away) > (ENOUGH if self._mending else BEGIN)
        if not self._mending:
            return 0.0
        return float(np.clip(self._away / (MEND * US), -MOST, MOST))

    def _stretched(self, samples: NDArray[np.int16], step: float) -> NDArray[np.int16]:
        if step == 1.0 and self._phase == 0.0:
            out = samples
        else:
            # one sample of the past, so that the line between two blocks is drawn too
            known = np.concatenate([self._last, samples])
            count = max(0, int(np.ceil((len(samples) - 1 - self._phase) / step)))
            at = self._phase + step * np.arange(count)
            out = np.interp(at, np.arange(-1, len(samples)), known).round().astype(np.int16)
            self._phase += step * count - len(samples)
        self._last = samples[-1:] if len(samples) else self._last
        return out
