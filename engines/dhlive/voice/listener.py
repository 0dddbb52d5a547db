"""A voice heard pair by pair: 48 kHz sound in, one output of the audio network for each 40 ms."""

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
QUIET = 32768 * 10 ** (-50 / 20)  # root mean square of a pair's own 40 ms below which there is silence


class Output(NamedTuple):
    """Output of the network for a pair of frames.

    values: (6,) float32. quiet: whether the pair's own 40 ms are silence.
    """

    values: FloatArray
    quiet: bool


class Listener:
    """Outputs of the audio network.

    Output n is computed from the pair of frames that begins 40 n ms after the stream's first sample, each output by
    itself, so that outputs are identical bit for bit however the sound is cut. Not thread-safe.
    """

    def __init__(self, network: AudioNetwork, rate: int) -> None:
        """rate: of the filter bank, Hz."""
        self._network, self._bank, self._decimator = network, FilterBank(rate), Decimator(rate)
        self._kept = BEFORE_MS * MS + self._decimator.half  # samples before a pair's own time that it needs
        self.begin()

    def begin(self) -> None:
        """Return the state before anything has been heard."""
        self.count = 0  # outputs given so far
        self._sound = np.zeros(self._kept, np.int16)  # from `_kept` before the next pair's time on
        self._state = silent_state()

    def append(self, samples: NDArray[np.int16]) -> None:
        """(n,) int16 at 48 kHz that follow."""
        self._sound = np.concatenate([self._sound, samples])

    def next_output(self) -> Output | None:
        """The next output; None until the sound for it has been heard."""
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
        """(2, 80): the pair whose sound this is.

        The first pair has none before its own time, and mirrors what follows.
        """
        rate, frame, shift = self._bank.rate, self._bank.frame, self._bank.shift
        before = 0 if self.count else BEFORE_MS * rate // 1000
        low = self._decimator.lowered(sound[before * self._decimator.factor :], SPAN_MS * rate // 1000 - before)
        low = np.concatenate([low[:before][::-1], low])
        return self._bank.frames(np.stack([low[:frame], low[shift : shift + frame]]))

    def save(self) -> StateArrays:
        """Everything, as plain arrays."""
        hidden, cell = (part.numpy().copy() for part in self._state)
        return {"sound": self._sound.copy(), "count": np.array(self.count), "hidden": hidden, "cell": cell}

    def restore(self, state: StateMapping) -> None:
        """Continue where `save` left off."""
        self._sound, self.count = np.asarray(state["sound"], np.int16), int(state["count"])
        hidden, cell = (torch.from_numpy(np.asarray(state[name], np.float32).copy()) for name in ("hidden", "cell"))
        self._state = hidden, cell
