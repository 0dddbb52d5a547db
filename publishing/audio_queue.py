"""The sound that waits in the SDK's queue: how much, when a block's first sample leaves, and how it is kept at that.

The SDK takes 10 ms out every 10 ms. How much waits is counted, and the count is checked: the SDK answers when a known
rest is left, never earlier, so the earliest of some answers is the truth. A sender whose clock runs faster or slower
shows in the level, and is met by playing a few samples in a thousand more or fewer, which is inaudible (0.5 % is a
twelfth of a semitone). Times are in seconds and always given by the caller.
"""

import numpy as np

from shared.media.array_types import AudioSamples
from shared.media.voice_ring import stretched
from shared.runtime.clock import SOUND_RATE_HZ

TARGET_LEVEL_S = 0.020  # seconds of sound that wait when a block comes
LEVEL_TOLERANCE_S = 0.008  # seconds by which the average level may differ from the target before it is corrected
HIGH_LEVEL_S = (
    0.055  # seconds that wait when a block comes, beyond which the block is left out: a stall is over, catch up
)
STRETCH = 0.005  # share of a block's samples that a correction adds or leaves out
ANSWERS = 10  # of the SDK, of which the earliest counts
COUNT_TOLERANCE_S = 0.002  # seconds by which the count may be wrong before it is put right
AVERAGING_BLOCKS = 25  # blocks over which the level is averaged, a second at 25 a second
RAMP_SAMPLES = (
    240  # samples (5 ms) that sound takes to come up after a hole, and to cross over where a block is left out
)


class AudioQueue:
    """Keeps a queue of sound near its target level.

    level: average of what waits when a block comes, seconds. empty: when the queue will have run out. holes, left_out,
    corrected: how often it ran dry, blocks left out, blocks stretched or shrunk.
    """

    def __init__(self) -> None:
        self.level, self.empty = TARGET_LEVEL_S, 0.0
        self.holes = self.left_out = self.corrected = 0
        self._surplus: list[float] = []  # seconds by which the last answers came later than counted
        self._skipped: AudioSamples | None = None  # the first of the blocks just left out
        self._cleared = False

    def add(self, samples: AudioSamples, at: float) -> tuple[AudioSamples, float] | None:
        """What to put into the queue for a block that comes at `at`, and when its first sample leaves.

        None when it is left out.
        """
        waiting = max(0.0, self.empty - at)
        if waiting > HIGH_LEVEL_S:
            self.left_out += 1
            self._skipped = samples if self._skipped is None else self._skipped
            return None
        if self._skipped is not None:
            samples, self._skipped = cross_fade(self._skipped, samples), None
        leaves = at + waiting
        if waiting == 0.0:
            # It ran dry, or begins: there is a hole already, so the cushion is put back and the sound comes up softly.
            self.holes += not self._cleared
            self._cleared = False
            samples = np.concatenate([np.zeros(int(TARGET_LEVEL_S * SOUND_RATE_HZ), np.int16), fade_in(samples)])
            self.level, leaves = TARGET_LEVEL_S, at + TARGET_LEVEL_S
        else:
            self.level += (waiting - self.level) / AVERAGING_BLOCKS
            samples = self._corrected(samples)
        self.empty = at + waiting + len(samples) / SOUND_RATE_HZ
        return samples, leaves

    def clear(self) -> None:
        """The queue is empty, as was wanted: what comes next begins softly, and that is not a hole."""
        self.empty, self._cleared = 0.0, True
        self._surplus.clear()
        self._skipped = None

    def answered(self, empty: float, counted: float) -> None:
        """The SDK's answer says that the queue runs out at `empty` at the latest, where `counted` was thought."""
        self._surplus.append(empty - counted)

    def check(self) -> None:
        """Put the count right by the last answers; not while one is awaited."""
        if len(self._surplus) < ANSWERS:
            return
        astray = min(self._surplus)
        if abs(astray) > COUNT_TOLERANCE_S:
            self.empty += astray
        self._surplus.clear()

    def _corrected(self, samples: AudioSamples) -> AudioSamples:
        if abs(self.level - TARGET_LEVEL_S) <= LEVEL_TOLERANCE_S:
            return samples
        self.corrected += 1
        share = -STRETCH if self.level > TARGET_LEVEL_S else STRETCH
        return stretched(samples, round(len(samples) * (1 + share)))


def fade_in(samples: AudioSamples) -> AudioSamples:
    """Sound that comes up from nothing."""
    gain = np.ones(len(samples), np.float32)
    gain[:RAMP_SAMPLES] = np.linspace(0, 1, len(gain[:RAMP_SAMPLES]))
    return (samples * gain).astype(np.int16)


def cross_fade(before: AudioSamples, after: AudioSamples) -> AudioSamples:
    """`after`, begun as `before` begins: what would have followed crosses over into what does, without a click."""
    length = min(RAMP_SAMPLES, len(before), len(after))
    gain = np.linspace(0, 1, length, dtype=np.float32)
    made = after.copy()
    made[:length] = before[:length] * (1 - gain) + after[:length] * gain
    return made
