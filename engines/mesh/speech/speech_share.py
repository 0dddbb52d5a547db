"""Running estimate of whether the sound is speech or music: a host's lips rest while music plays alone.

Three measures, each over about the last second and a half:

- Syllables. The loudness of each frequency band rises and falls about four times a second in speech of every language,
  and far less in music (4 Hz modulation energy: Scheirer and Slaney, "Construction and evaluation of a robust
  multifeature speech/music discriminator", 1997; slower rhythms of music: Ding et al., "Temporal modulations in speech
  and music", 2017).
- Held notes. Over a twentieth of a second a note's spectrum stays the same, while a mouth's changes (the
  continuous frequency lines of Seyerlehner et al., "Automatic music detection in television productions", 2007).
- Beats. A drum or a strummed chord raises all bands simultaneously; a mouth raises some and lowers others.

Singing counts as speech where it has syllables, and as music where it holds a note. The constants below were tuned on
recorded speech in six languages and synthesised speech in twelve, clean, in rooms, in noise and over music, and on
instruments and bands.
"""

from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

from engines.mesh.speech.mel_features import BANDS
from shared.easing import smoothstep
from shared.runtime.arrays import StateArrays

FRAME_S = 0.01  # seconds between two frames
MEMORY = FRAME_S / 1.5  # low-pass filter of the measures, per frame
FLOOR_DB = 30.0  # below the voice's own level: quieter sound counts as this level
# Low-pass filters of a band's loudness, per frame: their difference passes changes at about 4 Hz.
FAST, SLOW = FRAME_S / (FRAME_S + 0.02), FRAME_S / (FRAME_S + 0.05)
LAG = 5  # frames between two spectra that are compared
STILL_DB = 1.5  # scale on which a spectrum's change in LAG frames counts as stillness
# Probability from which a frame is silence; silence returns syllables and stillness to their initial values.
SILENT = 0.5
PAUSE, TRUST = 100, 30  # frames of silence after which trust starts again, and frames of sound for which it lasts
SYLLABLES_DB, STILL, TOGETHER = 1.5, 0.1, 0.3  # initial values of the measures, as in speech
# Higher values than speech has; the excess lowers the syllable measure by these costs in decibels.
MOST_STILL, STILL_COST_DB = 0.37, 3.0
MOST_TOGETHER, TOGETHER_COST_DB = 0.48, 8.0
MUSIC_DB, SPEECH_DB = 1.05, 1.3  # syllable measure minus those costs: music below the first, speech above the second


class SpeechShare:
    """Share of the sound that counts as speech. New sound counts as speech at first, and again after 1 s of silence."""

    def __init__(self) -> None:
        # rows of decibels relative to the voice's own level: fast filter, slow filter, the last LAG frames
        self._rows = np.full((2 + LAG, BANDS), -FLOOR_DB)
        self._silent = 0
        self._begin()

    def _begin(self) -> None:
        self._heard = 0
        self._syllables, self._still = SYLLABLES_DB**2, STILL
        self._swing, self._together = SYLLABLES_DB**2, TOGETHER * SYLLABLES_DB**2

    def add_frame(self, bands: NDArray[np.float32], voice: float, silence: float) -> float:
        """Add one frame and return the share of speech, 0 to 1.

        bands: (BANDS,) decibels. voice: the voice's own level in decibels. silence: probability that the frame is
            silence.
        """
        loud = np.maximum(bands - voice, -FLOOR_DB)
        change = float(np.abs(loud - self._rows[2]).sum()) / BANDS
        fast = self._rows[0] + FAST * (loud - self._rows[0])
        slow = self._rows[1] + SLOW * (loud - self._rows[1])
        self._rows = np.concatenate([fast[None], slow[None], self._rows[3:], loud[None]])
        away = fast - slow
        swing, together = float(away @ away) / BANDS, (float(away.sum()) / BANDS) ** 2
        self._swing += MEMORY * (swing - self._swing)
        self._together += MEMORY * (together - self._together)
        if silence > SILENT:
            swing, still = SYLLABLES_DB**2, STILL
            self._silent += 1
            if self._silent == PAUSE:
                self._begin()
        else:
            still = exp(-change / STILL_DB)
            self._silent = 0
            self._heard += 1
        self._syllables += MEMORY * (swing - self._syllables)
        self._still += MEMORY * (still - self._still)
        return 1.0 if self._heard <= TRUST else self._share()

    def _share(self) -> float:
        together = self._together / max(self._swing, 1e-3)
        cost = STILL_COST_DB * max(0.0, self._still - MOST_STILL)
        cost += TOGETHER_COST_DB * max(0.0, together - MOST_TOGETHER)
        return smoothstep((sqrt(self._syllables) - cost - MUSIC_DB) / (SPEECH_DB - MUSIC_DB))

    def save(self) -> StateArrays:
        """Return all state carried from one block to the next, as plain arrays."""
        measures = (self._syllables, self._still, self._swing, self._together)
        return {
            "share_rows": self._rows.copy(),
            "share_measures": np.array(measures),
            "share_frames": np.array([self._heard, self._silent], np.int64),
        }

    def restore(self, state: StateArrays) -> None:
        """Continue from the state that `save` returned."""
        self._rows = np.array(state["share_rows"], np.float64)
        measures = np.asarray(state["share_measures"], np.float64)
        self._syllables, self._still, self._swing, self._together = (float(v) for v in measures)
        self._heard, self._silent = (int(v) for v in state["share_frames"])
