"""A voice as one stretch of sound per tick, however it was cut into blocks."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.api import RATE_FPS, VoiceBlock
from shared.runtime.arrays import StateArrays, StateMapping
from shared.runtime.clock import SOUND_RATE_HZ, US, tick_after, tick_pts

JOIN_SAMPLES = 2  # between two blocks that follow each other, for the rounding of their pts
WINDOW_US = 40_000


class VoiceTicks:
    """What an engine's `hear` and `flush` need to give a frame for each tick of a voice. Not thread-safe."""

    def __init__(self, rate: Fraction = RATE_FPS, ahead_us: int = 0, window_us: int = WINDOW_US) -> None:
        """rate: of the context.

        ahead_us: microseconds of voice after a tick's own time that its frame needs, the engine's `voice_ahead_us`.
        window_us: how much sound a tick is given.
        """
        self._rate, self._ahead = rate, ahead_us
        self._window = window_us * SOUND_RATE_HZ // US
        self.reset()

    def reset(self) -> None:
        """Nothing has been heard."""
        self._sound: NDArray[np.int16] = np.zeros(0, np.int16)
        self._end = -1  # number of the sample after the last one, on the channel clock; -1 before the first
        self._tick = 0

    def hear(self, block: VoiceBlock) -> list[tuple[int, NDArray[np.int16]]]:
        """(pts, samples) of each tick that this block brings within reach.

        The (n,) int16 of the window before pts + ahead_us, silence where there was no voice yet. A block that does not
        follow the last one starts over.
        """
        first = round(block.pts * SOUND_RATE_HZ / US)
        if self._end < 0 or abs(first - self._end) > JOIN_SAMPLES:
            self._sound = np.zeros(self._window, np.int16)
            self._end = first
            self._tick = tick_after(block.pts - 1, self._rate)
        self._sound = np.concatenate([self._sound, block.samples])
        self._end += len(block.samples)
        return self._reached(self._end)

    def flush(self) -> list[tuple[int, NDArray[np.int16]]]:
        """The ticks up to the end of the voice, as if silence followed; then nothing has been heard."""
        end = self._end
        if end < 0:
            return []
        silence = np.zeros((self._ahead * SOUND_RATE_HZ + US - 1) // US + 1, np.int16)
        self._sound = np.concatenate([self._sound, silence])
        self._end += len(silence)
        ticks = self._reached(end)
        self.reset()
        return ticks

    def save(self) -> StateArrays:
        """Everything, as plain arrays."""
        return {"voice": self._sound.copy(), "voice_at": np.array([self._end, self._tick], np.int64)}

    def restore(self, state: StateMapping) -> None:
        """Continue where `save` left off."""
        self._sound = np.asarray(state["voice"], np.int16)
        self._end, self._tick = (int(value) for value in state["voice_at"])

    def _reached(self, before: int) -> list[tuple[int, NDArray[np.int16]]]:
        """The ticks whose sound is there, up to sample `before`; of the sound only what later ones need is kept."""
        ticks = []
        while (pts := tick_pts(self._tick, self._rate)) * SOUND_RATE_HZ < before * US:
            if (pts + self._ahead) * SOUND_RATE_HZ > self._end * US:
                break
            stop = len(self._sound) - (self._end - (pts + self._ahead) * SOUND_RATE_HZ // US)
            ticks.append((pts, self._sound[stop - self._window : stop].copy()))
            self._tick += 1
        unheard = (tick_pts(self._tick, self._rate) + self._ahead) * SOUND_RATE_HZ // US - self._window
        self._sound = self._sound[max(0, len(self._sound) - (self._end - unheard)) :]
        return ticks
