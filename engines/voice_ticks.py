"""A voice divided into one stretch of samples per tick, however it was cut into blocks."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.api import RATE_FPS, VoiceBlock
from shared.runtime.arrays import StateArrays, StateMapping
from shared.runtime.clock import SOUND_RATE_HZ, US, tick_after, tick_pts

JOIN_SAMPLES = 2  # tolerance between consecutive blocks, for the rounding of their pts
WINDOW_US = 40_000


class VoiceTicks:
    """Voice received so far, from which an engine's `hear` and `flush` take each tick's samples. Not thread-safe."""

    def __init__(self, rate: Fraction = RATE_FPS, ahead_us: int = 0, window_us: int = WINDOW_US) -> None:
        """Start without any voice.

        rate: the context's rate, ticks per second. ahead_us: microseconds of voice that a frame needs beyond its tick's
            own time, the engine's `voice_ahead_us`. window_us: microseconds of voice that each tick gets.
        """
        self._rate, self._ahead = rate, ahead_us
        self._window = window_us * SOUND_RATE_HZ // US
        self.reset()

    def reset(self) -> None:
        """Forget all voice."""
        self._sound: NDArray[np.int16] = np.zeros(0, np.int16)
        self._end = -1  # number of the sample after the last one, on the channel clock; -1 before the first block
        self._tick = 0

    def hear(self, block: VoiceBlock) -> list[tuple[int, NDArray[np.int16]]]:
        """Return (pts, samples) of each tick that this block completes.

        samples: (n,) int16, the window that ends at pts + ahead_us, with silence for the time before the voice began. A
            block that does not continue the previous one restarts at the first tick that is not before it.
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
        """Return the ticks up to the end of the voice, as if silence followed, and forget all voice."""
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
        """Return the whole state as plain arrays."""
        return {"voice": self._sound.copy(), "voice_at": np.array([self._end, self._tick], np.int64)}

    def restore(self, state: StateMapping) -> None:
        """Continue from the state that `save` returned."""
        self._sound = np.asarray(state["voice"], np.int16)
        self._end, self._tick = (int(value) for value in state["voice_at"])

    def _reached(self, before: int) -> list[tuple[int, NDArray[np.int16]]]:
        """Return the ticks before sample `before` whose window is complete; drop samples no longer needed."""
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
