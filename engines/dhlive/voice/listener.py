"""Outputs of the audio network for a voice: 48 kHz sound in, one output per 40 ms out."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from engines.dhlive.networks.audio import AudioNetwork, silent_state
from engines.dhlive.networks.one_thread import one_thread
from engines.dhlive.networks.sizes import COEFFICIENTS
from engines.dhlive.voice.filter_bank import FilterBank
from engines.dhlive.voice.sound import AFTER_MS, BEFORE_MS, PAIR_MS, SPAN_MS, Decimator
from shared.media.array_types import FloatArray
from shared.runtime.arrays import StateArrays, StateMapping
from shared.runtime.clock import SOUND_RATE_HZ

MS = SOUND_RATE_HZ // 1000  # samples
QUIET = 32768 * 10 ** (-50 / 20)  # root mean square of a pair's own 40 ms below which it counts as silence


class Output(NamedTuple):
    """Output of the network for a pair of frames.

    values: (6,) float32. quiet: whether the pair's own 40 ms are silence.
    """

    values: FloatArray
    quiet: bool


class Listener:
    """Feeds a voice to the audio network.

    Output n is computed from the pair of frames that begins 40 n ms after the stream's first sample, each output
    separately, so that outputs are bit for bit the same however the sound is cut. Not thread-safe.
    """

    def __init__(self, network: AudioNetwork, rate: int) -> None:
        """Start without any voice.

        rate: the filter bank's sample rate, Hz.
        """
        self._network, self._bank, self._decimator = network, FilterBank(rate), Decimator(rate)
        self._kept = BEFORE_MS * MS + self._decimator.half  # samples that a pair needs from before its own time
        self.begin()

    def begin(self) -> None:
        """Forget all voice."""
        self.count = 0  # outputs returned so far
        self._sound = np.zeros(self._kept, np.int16)  # samples from `_kept` before the next pair's time on
        self._state = silent_state()

    def append(self, samples: NDArray[np.int16]) -> None:
        """Append (n,) int16 samples at 48 kHz, which continue the previous ones."""
        self._sound = np.concatenate([self._sound, samples])

    def next_output(self) -> Output | None:
        """Return the next output; None until enough sound was appended."""
        needed = self._kept + AFTER_MS * MS
        if len(self._sound) < needed:
            return None
        with torch.inference_mode(), one_thread():
            mel = torch.from_numpy(self._pair(self._sound[:needed]))[None]
            out, self._state = self._network(mel, self._state)
        own = self._sound[self._kept : self._kept + PAIR_MS * MS].astype(np.float32)
        self._sound = self._sound[PAIR_MS * MS :]
        self.count += 1
        quiet = float(np.sqrt(np.mean(own * own))) < QUIET
        return Output(np.asarray(out.numpy().reshape(COEFFICIENTS), np.float32), quiet)

    def _pair(self, sound: NDArray[np.int16]) -> FloatArray:
        """Return the features of a pair, (2, 80), from its sound.

        The first pair has no sound before its own time; the sound after it is mirrored instead.
        """
        rate, frame, shift = self._bank.rate, self._bank.frame, self._bank.shift
        before = 0 if self.count else BEFORE_MS * rate // 1000
        low = self._decimator.lowered(sound[before * self._decimator.factor :], SPAN_MS * rate // 1000 - before)
        low = np.concatenate([low[:before][::-1], low])
        return self._bank.frames(np.stack([low[:frame], low[shift : shift + frame]]))

    def save(self) -> StateArrays:
        """Return the whole state as plain arrays."""
        hidden, cell = (part.numpy().copy() for part in self._state)
        return {"sound": self._sound.copy(), "count": np.array(self.count), "hidden": hidden, "cell": cell}

    def restore(self, state: StateMapping) -> None:
        """Continue from the state that `save` returned."""
        self._sound, self.count = np.asarray(state["sound"], np.int16), int(state["count"])
        hidden, cell = (torch.from_numpy(np.asarray(state[name], np.float32).copy()) for name in ("hidden", "cell"))
        self._state = hidden, cell
