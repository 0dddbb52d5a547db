"""A voice as mouth coefficients: six numbers per tick, from the voice up to 255 ms after the tick."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.api import VoiceBlock
from engines.dhlive.generation import Generation
from engines.dhlive.networks.audio import AudioNetwork
from engines.dhlive.networks.sizes import COEFFICIENTS
from engines.dhlive.voice.coefficients import Stabiliser
from engines.dhlive.voice.listener import Listener, Output
from engines.dhlive.voice.sound import PAIR_MS, VOICE_AHEAD_US
from shared.media.array_types import FloatArray
from shared.media.voice_ring import JOIN_SAMPLES
from shared.runtime.arrays import StateArrays, StateMapping, pack_part, unpack_part
from shared.runtime.clock import SOUND_RATE_HZ, US, tick_after, tick_pts

WAITING_PAIRS = 20  # pairs of silence (0.8 s) before a tick's own time after which the host waits
LET_GO = (
    0.45,
    0.0,
)  # share of an interrupted mouth shape that remains in the first and second frame of a new voice

CLOSED = 0.01  # a coefficient below this counts as at rest


@dataclass(frozen=True, slots=True)
class SpeechTick:
    """The mouth of one tick.

    coefficients: (6,) float32. waiting: there has been silence for a while.
    """

    pts: int
    coefficients: FloatArray
    waiting: bool


class Speech:
    """Coefficients of one voice.

    The network's outputs are 40 ms apart, counted from the tick in which the voice begins. A tick shows the newest
    output that is due, so at 25 frames per second each output is shown once. Not thread-safe.
    """

    def __init__(self, network: AudioNetwork, generation: Generation, opening: FloatArray, rate: Fraction) -> None:
        """Start without any voice.

        opening: see `Stabiliser`. rate: frames per second.
        """
        self._rate, self._generation, self._opening = rate, generation, opening
        self._shift = generation.geometry.shift
        self._listener = Listener(network, generation.geometry.sound_rate)
        self._shown = np.zeros(COEFFICIENTS, np.float32)
        self._forget()

    def hear(self, block: VoiceBlock) -> list[SpeechTick]:
        """Return the ticks that this block completes."""
        first = -(-block.pts * SOUND_RATE_HZ // US)
        if self._end < 0 or abs(first - self._end) > JOIN_SAMPLES:
            self._begin(first, block.pts)
        self._append(block.samples)
        return self._until(None)

    def flush(self) -> list[SpeechTick]:
        """Return the ticks up to the end of the voice, as if silence followed, and forget all voice."""
        if self._end < 0:
            return []
        end = self._end
        self._append(np.zeros(VOICE_AHEAD_US * SOUND_RATE_HZ // US + 1, np.int16))
        said = self._until(end)
        self.reset()
        return said

    def at_rest(self, pts: int) -> SpeechTick:
        """Return a tick without a voice: the mouth closes from the shape shown last."""
        self._shown = np.asarray(self._shown * np.float32(LET_GO[0]), np.float32)
        self._shown[np.abs(self._shown) < CLOSED] = 0.0
        return SpeechTick(pts, self._shown.copy(), True)

    def reset(self) -> None:
        """Forget all voice. A speaking mouth closes within two frames."""
        self._forget()

    def _forget(self) -> None:
        self._listener.begin()
        self._stabiliser = Stabiliser(self._generation, self._opening)
        self._outputs: list[Output] = []  # outputs that no tick has reached yet
        self._passed = self._quiet = 0  # outputs that ticks have reached, and how many of the latest were silence
        self._now = np.zeros(COEFFICIENTS, np.float32)
        self._end, self._origin, self._tick = -1, 0, 0  # sample after the last one, us of output 0, next tick
        self._held, self._after = self._shown, 0

    def _begin(self, first: int, pts: int) -> None:
        """Restart with a voice whose first sample has this number."""
        self._forget()
        self._tick = tick_after(pts - 1, self._rate)
        begin = tick_pts(self._tick, self._rate)
        self._origin = begin if begin == pts else tick_pts(self._tick - 1, self._rate)
        self._end = self._origin * SOUND_RATE_HZ // US
        self._append(np.zeros(first - self._end, np.int16))

    def _append(self, samples: NDArray[np.int16]) -> None:
        self._listener.append(samples)
        self._end += len(samples)
        while (output := self._listener.next_output()) is not None:
            self._outputs.append(output)

    def _until(self, end: int | None) -> list[SpeechTick]:
        """Return the ticks whose voice is complete, before sample `end`."""
        said: list[SpeechTick] = []
        while True:
            pts = tick_pts(self._tick, self._rate)
            reached = (pts + VOICE_AHEAD_US) * SOUND_RATE_HZ <= self._end * US
            if not reached or (end is not None and pts * SOUND_RATE_HZ >= end * US):
                return said
            said.append(self._tell(pts))
            self._tick += 1

    def _tell(self, pts: int) -> SpeechTick:
        newest = (pts - self._origin) // (PAIR_MS * 1000) + self._shift
        while self._passed <= newest:
            output = self._outputs.pop(0)
            self._quiet = self._quiet + 1 if output.quiet else 0
            if self._passed >= self._shift:
                self._now = self._stabiliser.next_coefficients(output.values)
            self._passed += 1
        shown = self._now
        if self._after < len(LET_GO):
            shown = np.asarray(shown + (self._held - shown) * np.float32(LET_GO[self._after]), np.float32)
            self._after += 1
        self._shown = shown
        return SpeechTick(pts, shown, self._quiet >= WAITING_PAIRS + self._shift)

    def save(self) -> StateArrays:
        """Return the whole state as plain arrays."""
        outputs = np.array([(*each.values, each.quiet) for each in self._outputs], np.float32)
        numbers = (self._passed, self._quiet, self._end, self._origin, self._tick, self._after)
        return pack_part("listener", self._listener.save()) | {
            "outputs": outputs.reshape(-1, COEFFICIENTS + 1),
            "mouths": np.stack([self._stabiliser.last, self._now, self._shown, self._held]),
            "numbers": np.array(numbers, np.int64),
        }

    def restore(self, state: StateMapping) -> None:
        """Continue from the state that `save` returned."""
        self._listener.restore(unpack_part("listener", state))
        rows = np.asarray(state["outputs"], np.float32)
        self._outputs = [Output(row[:COEFFICIENTS].copy(), bool(row[COEFFICIENTS])) for row in rows]
        mouths = np.asarray(state["mouths"], np.float32).copy()
        self._stabiliser.last, self._now, self._shown, self._held = mouths
        self._passed, self._quiet, self._end, self._origin, self._tick, self._after = map(int, state["numbers"])
