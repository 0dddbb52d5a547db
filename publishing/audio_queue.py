"""Level control for the audio queue of LiveKit's SDK: how much sound waits in it, and when each block leaves it.

The SDK takes 10 ms of sound out of its queue every 10 ms. This module counts how much sound should still be waiting and
checks that count against the SDK: a call that adds sound returns when a known amount is left in the queue, or later,
but never earlier, so the earliest of several returns is the accurate one. A sender whose clock runs faster or slower
than the SDK's makes the level drift. The level is corrected by adding or removing a few samples in a thousand, which is
inaudible (0.5 % is a twelfth of a semitone). Sound that is known before its block arrives is queued early, beyond the
target level, so that a late block leaves no hole. Times are in seconds and always passed in by the caller.
"""

import numpy as np

from shared.media.array_types import AudioSamples
from shared.media.voice_ring import stretched
from shared.runtime.clock import SOUND_RATE_HZ

TARGET_LEVEL_S = 0.020  # seconds of sound that are already waiting when a block arrives
LEVEL_TOLERANCE_S = 0.008  # seconds by which the average level may differ from the target before it is corrected
HIGH_LEVEL_S = 0.055  # seconds already waiting above which an arriving block is left out, to catch up after a stall
STRETCH = 0.005  # share of a block's samples that a correction adds or removes
ANSWERS = 10  # answers of the SDK in one check; the earliest is used
COUNT_TOLERANCE_S = 0.002  # seconds by which the count may be wrong before it is corrected
AVERAGING_BLOCKS = 25  # blocks over which the level is averaged, a second at 25 a second
NO_SAMPLES: AudioSamples = np.zeros(0, np.int16)
RAMP_SAMPLES = 240  # samples (5 ms) of the fade-in after a gap, and of the cross-fade where a block was left out


class AudioQueue:
    """Keeps the SDK's audio queue near its target level.

    level: seconds of sound waiting when a block arrives, averaged. empty: the time at which the queue runs dry. holes:
    how often it ran dry. left_out: blocks left out. corrected: blocks stretched or shrunk.
    """

    def __init__(self) -> None:
        self.level, self.empty = TARGET_LEVEL_S, 0.0
        self.holes = self.left_out = self.corrected = 0
        self._surplus: list[float] = []  # seconds by which the last answers came later than the count predicts
        self._skipped: AudioSamples | None = None  # the first block of the run being left out
        self._cleared = False
        self._early = 0  # samples in the queue that belong to blocks yet to arrive

    def add(
        self, samples: AudioSamples, at: float, ahead: AudioSamples = NO_SAMPLES
    ) -> tuple[AudioSamples, float] | None:
        """Return the samples to queue for a block that arrives at `at`, and when its first sample leaves the queue.

        ahead: samples with which the next blocks begin. They are queued with this one, so that a late block leaves no
        hole, and not again with their own block. Return None when the block is left out.
        """
        waiting = max(0.0, self.empty - at)
        early = self._early  # samples of this and later blocks that were queued with earlier ones
        before = self.empty - at - early / SOUND_RATE_HZ  # seconds until the block's first sample leaves
        if before > HIGH_LEVEL_S and not early and not len(ahead):
            self.left_out += 1
            self._skipped = samples if self._skipped is None else self._skipped
            return None
        new = np.concatenate([samples, ahead])[early:]
        self._early = max(early, len(samples) + len(ahead)) - len(samples)
        if self._skipped is not None:
            new, self._skipped = cross_fade(self._skipped, new), None
        leaves = at + before
        if waiting == 0.0:
            # The queue ran dry or has just started. There is a gap already, so refill the cushion and fade in.
            self.holes += not self._cleared
            self._cleared = False
            new = np.concatenate([np.zeros(int(TARGET_LEVEL_S * SOUND_RATE_HZ), np.int16), fade_in(new)])
            # What of the block was queued early left before the gap; frames go by the part that leaves after it.
            self.level, leaves = TARGET_LEVEL_S, at + TARGET_LEVEL_S - early / SOUND_RATE_HZ
        else:
            self.level += (before - self.level) / AVERAGING_BLOCKS
            new = self._corrected(new)
        self.empty = at + waiting + len(new) / SOUND_RATE_HZ
        return new, leaves

    def clear(self) -> None:
        """Record that the queue was emptied on purpose: the next block fades in and does not count as a hole."""
        self.empty, self._cleared, self._early = 0.0, True, 0
        self._surplus.clear()
        self._skipped = None

    def answered(self, empty: float, counted: float) -> None:
        """Note an answer of the SDK: the queue runs out at `empty` at the latest; the count predicted `counted`."""
        self._surplus.append(empty - counted)

    def check(self) -> None:
        """Correct the count by the last `ANSWERS` answers. Not to be called while an answer is pending."""
        if len(self._surplus) < ANSWERS:
            return
        astray = min(self._surplus)
        if abs(astray) > COUNT_TOLERANCE_S:
            self.empty += astray
        self._surplus.clear()

    def _corrected(self, samples: AudioSamples) -> AudioSamples:
        if abs(self.level - TARGET_LEVEL_S) <= LEVEL_TOLERANCE_S or not len(samples):
            return samples
        self.corrected += 1
        share = -STRETCH if self.level > TARGET_LEVEL_S else STRETCH
        return stretched(samples, round(len(samples) * (1 + share)))


def fade_in(samples: AudioSamples) -> AudioSamples:
    """Return the samples with a linear fade-in over the first RAMP_SAMPLES."""
    gain = np.ones(len(samples), np.float32)
    gain[:RAMP_SAMPLES] = np.linspace(0, 1, len(gain[:RAMP_SAMPLES]))
    return (samples * gain).astype(np.int16)


def cross_fade(before: AudioSamples, after: AudioSamples) -> AudioSamples:
    """Return `after` with its start cross-faded from the start of `before`, which makes the skip inaudible.

    The result is a copy. `before` is what would have followed the sound that is queued already.
    """
    length = min(RAMP_SAMPLES, len(before), len(after))
    gain = np.linspace(0, 1, length, dtype=np.float32)
    made = after.copy()
    made[:length] = before[:length] * (1 - gain) + after[:length] * gain
    return made
