"""Visemes of a voice every 10 ms, independent of how the voice is cut into blocks."""

import numpy as np
from numpy.typing import NDArray

from engines.api import VoiceBlock
from engines.mesh.speech.mel_features import (
    BANDS,
    HOP_SAMPLES,
    QUIET_DB,
    WINDOW_SAMPLES,
    LoudnessLevel,
    band_decibels,
    loudness,
)
from engines.mesh.speech.speech_share import SpeechShare
from engines.mesh.speech.visemes import AFTER, BEFORE, VISEMES, VisemeNetwork, inputs
from shared.media.voice_ring import JOIN_SAMPLES
from shared.runtime.arrays import StateArrays
from shared.runtime.clock import SOUND_RATE_HZ, US

SPAN = BEFORE + 1 + AFTER
SILENCE = VISEMES.index("silence")


class VisemeStream:
    """A voice and the viseme probabilities of its frames; frame n is at sample n * HOP_SAMPLES of the channel clock.

    start: number of the first sample since the voice began. end: number after the last sample.
    told: number of the last frame whose probabilities were returned.
    """

    def __init__(self, network: VisemeNetwork) -> None:
        self._network = network
        self.start = self.end = -1
        self._begin(0)

    def _begin(self, sample: int) -> None:
        self._sound = np.zeros(WINDOW_SAMPLES, np.int16)  # the last samples, ending at `end`
        self._next = -(-sample // HOP_SAMPLES)  # first frame whose features are not computed yet
        self.told = self._next - 1
        self._level = LoudnessLevel()
        self._share = SpeechShare()
        self._bands = np.full((SPAN, BANDS), QUIET_DB, np.float32)  # frames up to _next - 1

    def fresh_stream(self) -> "VisemeStream":
        """Return a new stream without any voice."""
        return VisemeStream(self._network)

    def append_block(self, block: VoiceBlock) -> bool:
        """Append a block; return whether the voice restarts because the block does not continue the previous one."""
        first = -(-block.pts * SOUND_RATE_HZ // US)
        restarted = self.end < 0 or abs(first - self.end) > JOIN_SAMPLES
        if restarted:
            self._begin(first)
            self.start = self.end = first
        self._sound = np.concatenate([self._sound, block.samples])
        self.end += len(block.samples)
        return restarted

    def new_probabilities(self, frame: int) -> list[tuple[NDArray[np.float32], float]]:
        """Return probabilities, (13,), and loudness of each frame not returned before, up to this frame.

        The loudness is in decibels relative to the voice's own level. Music counts as silence. The voice must extend to
        `needed(frame)`.
        """
        found = []
        while self.told < frame:
            self._listen(self.told + 1 + AFTER)
            seen = inputs(self._bands, self._level.voice, self._level.room)
            loud = loudness(self._bands[BEFORE]) - self._level.voice
            told = self._network.probabilities(seen)
            speech = self._share.add_frame(self._bands[-1], self._level.voice, float(told[SILENCE]))
            if speech < 1.0:
                told *= np.float32(speech)
                told[SILENCE] += np.float32(1.0 - speech)
            found.append((told, loud))
            self.told += 1
        return found

    def _listen(self, frame: int) -> None:
        while self._next <= frame:
            at = len(self._sound) - (self.end - self._next * HOP_SAMPLES) - WINDOW_SAMPLES // 2
            bands = band_decibels(self._sound[at : at + WINDOW_SAMPLES][None])[0]
            self._level.add_loudness(loudness(bands))
            self._bands = np.concatenate([self._bands[1:], bands[None]])
            self._next += 1
        self._sound = self._sound[max(0, len(self._sound) - (self.end - self._next * HOP_SAMPLES) - WINDOW_SAMPLES) :]

    def save(self) -> StateArrays:
        """Return all state carried from one block to the next, as plain arrays."""
        return self._share.save() | {
            "sound": self._sound.copy(),
            "bands": self._bands.copy(),
            "level": np.array([self._level.voice, self._level.room]),
            "at": np.array([self.start, self.end, self._next, self.told], np.int64),
        }

    def restore(self, state: StateArrays) -> None:
        """Continue from the state that `save` returned."""
        self._sound = np.asarray(state["sound"], np.int16)
        self._bands = np.asarray(state["bands"], np.float32)
        self._level = LoudnessLevel(*(float(v) for v in state["level"]))
        self._share.restore(state)
        self.start, self.end, self._next, self.told = (int(v) for v in state["at"])


def needed(frame: int) -> int:
    """Return the number after the last sample that is needed to classify this frame."""
    return (frame + AFTER) * HOP_SAMPLES + WINDOW_SAMPLES // 2
