"""The voice as it comes in, in blocks of any size, told as visemes every 10 ms: the same however it is cut."""

import numpy as np
from numpy.typing import NDArray

from engines.api import VoiceBlock
from engines.mesh.speech.mel_features import BANDS, HOP, QUIET_DB, WINDOW, Level, hear, loudness
from engines.mesh.speech.visemes import AFTER, BEFORE, Network, inputs
from shared.media.reader import SOUND_RATE
from shared.media.voice_ring import JOIN
from shared.runtime.clock import US

SPAN = BEFORE + 1 + AFTER
State = dict[str, NDArray[np.generic]]


class Listener:
    """Frame number n lies at sample n * HOP of the channel clock.

    start: number of the first sample heard since the beginning. end: after the last.
    told: frames there are probabilities for, which is all up to this number.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.start = self.end = -1
        self._begin(0)

    def _begin(self, sample: int) -> None:
        self._sound = np.zeros(WINDOW, np.int16)  # the last samples, ending at `end`
        self._next = -(-sample // HOP)  # first frame that has not been heard
        self.told = self._next - 1
        self._level = Level()
        self._bands = np.full((SPAN, BANDS), QUIET_DB, np.float32)  # frames up to _next - 1

    def another(self) -> "Listener":
        """One that has heard nothing yet."""
        return Listener(self._network)

    def hear(self, block: VoiceBlock) -> bool:
        """Take in a block; whether it begins anew because it does not follow the last one."""
        first = -(-block.pts * SOUND_RATE // US)
        anew = self.end < 0 or abs(first - self.end) > JOIN
        if anew:
            self._begin(first)
            self.start = self.end = first
        self._sound = np.concatenate([self._sound, block.samples])
        self.end += len(block.samples)
        return anew

    def tell(self, frame: int) -> list[tuple[NDArray[np.float32], float]]:
        """(13,) probabilities and the loudness in decibels against the voice's own level, of each frame that follows
        those told before up to this one. The sound must reach `needed(frame)`."""
        found = []
        while self.told < frame:
            self._listen(self.told + 1 + AFTER)
            seen = inputs(self._bands, self._level.voice, self._level.room)
            loud = loudness(self._bands[BEFORE]) - self._level.voice
            found.append((self._network.tell(seen), loud))
            self.told += 1
        return found

    def _listen(self, frame: int) -> None:
        while self._next <= frame:
            at = len(self._sound) - (self.end - self._next * HOP) - WINDOW // 2
            bands = hear(self._sound[at : at + WINDOW][None])[0]
            self._level.step(loudness(bands))
            self._bands = np.concatenate([self._bands[1:], bands[None]])
            self._next += 1
        self._sound = self._sound[max(0, len(self._sound) - (self.end - self._next * HOP) - WINDOW) :]

    def save(self) -> State:
        return {
            "sound": self._sound.copy(),
            "bands": self._bands.copy(),
            "level": np.array([self._level.voice, self._level.room]),
            "at": np.array([self.start, self.end, self._next, self.told], np.int64),
        }

    def restore(self, state: State) -> None:
        self._sound = np.asarray(state["sound"], np.int16)
        self._bands = np.asarray(state["bands"], np.float32)
        self._level = Level(*(float(v) for v in state["level"]))
        self.start, self.end, self._next, self.told = (int(v) for v in state["at"])


def needed(frame: int) -> int:
    """Number after the last sample that telling this frame takes."""
    return (frame + AFTER) * HOP + WINDOW // 2
