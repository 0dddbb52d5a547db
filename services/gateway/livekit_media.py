"""The program as LiveKit's SDK takes it: a source of pictures and a source of sound, kept together by one queue.

The SDK takes 10 ms of sound out of its queue every 10 ms. A tick's sound is put in when it comes, behind what still
waits there, so the moment at which its first sample leaves is known; the tick's picture is handed over at that moment.
How much waits is counted, and the count is checked at every block: the SDK answers when one tick's length is left, never
earlier, so the earliest of some answers is the truth. What waits is a cushion against uneven arrival. It is kept at
CUSHION: a sender whose clock runs faster or slower than ours shows in the level, and is met by playing a few samples in
a thousand more or fewer, which nobody hears (0.5 % is a twelfth of a semitone).
"""

import asyncio
import ctypes
import math
import time
from collections import Counter
from fractions import Fraction

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from services.gateway.program import SOUND_RATE, Picture, Sound
from shared.clock import now

CUSHION = 0.020  # seconds of sound that wait when a block comes
SLACK = 0.008  # seconds by which the average level may differ from CUSHION before it is corrected
HIGH = 0.055  # seconds that wait when a block comes, beyond which the block is left out: a stall is over, catch up
STRETCH = 0.005  # share of a block's samples that a correction adds or leaves out
ANSWERS = 10  # of the SDK, of which the earliest counts
ASTRAY = 0.002  # seconds by which the count may be wrong before it is put right
SMOOTH = 25  # blocks over which the level is averaged, a second at 25 a second
RAMP = 240  # samples (5 ms) that sound takes to come up after a hole, and to cross over where a block is left out


class Media:
    """The two sources of one publication. Used in one event loop; they outlive reconnects and changes of scene.

    drops: pictures and sounds that came too late or too many. corrected: blocks stretched or shrunk.
    """

    def __init__(self, first: Picture, rate: Fraction) -> None:
        self.video = rtc.VideoSource(first.width, first.height)
        # It lets a caller wait while more than this is in its queue, and holds twice as much. An interrupt is heard
        # after what waits at most: CUSHION and one tick, 60 ms at 25 a second.
        self._answers_at = math.ceil(100 / rate) / 100  # seconds, a multiple of 10 ms
        self.audio = rtc.AudioSource(SOUND_RATE, 1, round(self._answers_at * 1000))
        self.size = first.width, first.height
        self.drops: Counter[str] = Counter()
        self.corrected = 0
        self.level = CUSHION  # average, seconds
        self._period = float(1 / rate)
        self._loop = asyncio.get_running_loop()
        self._empty = 0.0  # loop time at which the queue will have run out
        self._anchor = 0, 0.0  # a tick and the loop time at which its first sample leaves
        self._putting: asyncio.Task[None] | None = None
        self._surplus: list[float] = []  # seconds by which the last answers came later than counted
        self._left_out: NDArray[np.int16] | None = None  # the first of the blocks just left out
        self._pending: dict[int, asyncio.TimerHandle] = {}
        # A source that has had no picture sends black ones; the track must begin with the program.
        self._show(first)

    async def feed(self, item: Picture | Sound) -> None:
        """Hand over one tick's picture or sound; returns when the next may come."""
        if isinstance(item, Sound):
            await self._sound(item)
        else:
            self._picture(item)

    async def close(self) -> None:
        """Forget what waits and free the sources."""
        if self._putting:
            self._putting.cancel()
        for timer in self._pending.values():
            timer.cancel()
        self._pending.clear()
        await self.audio.aclose()
        await self.video.aclose()

    async def _sound(self, sound: Sound) -> None:
        self._check_count()
        samples, at = sound.samples, self._loop.time()
        waiting = max(0.0, self._empty - at)
        if waiting > HIGH:
            self.drops["sound"] += 1
            self._left_out = samples if self._left_out is None else self._left_out
            return
        if self._left_out is not None:
            samples, self._left_out = crossed(self._left_out, samples), None
        if waiting == 0.0:
            # It ran dry, or begins: there is a hole already, so the cushion is put back and the sound comes up softly.
            samples = np.concatenate([np.zeros(int(CUSHION * SOUND_RATE), np.int16), ramped(samples)])
            self.level = CUSHION
            self._anchor = sound.tick, at + CUSHION
        else:
            self._anchor = sound.tick, at + waiting
            self.level += (waiting - self.level) / SMOOTH
            samples = self._corrected(samples)
        self._empty = empty = at + waiting + len(samples) / SOUND_RATE
        if self._putting:
            await self._putting  # the SDK takes one at a time
        self._putting = self._loop.create_task(self._put(samples, empty))

    async def _put(self, samples: NDArray[np.int16], empty: float) -> None:
        await self.audio.capture_frame(rtc.AudioFrame(samples.tobytes(), SOUND_RATE, 1, len(samples)))
        self._surplus.append(self._loop.time() + self._answers_at - empty)

    def _check_count(self) -> None:
        if len(self._surplus) < ANSWERS or (self._putting and not self._putting.done()):
            return
        astray = min(self._surplus)
        if abs(astray) > ASTRAY:
            self._empty += astray
        self._surplus.clear()

    def _corrected(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        if abs(self.level - CUSHION) <= SLACK:
            return samples
        self.corrected += 1
        share = -STRETCH if self.level > CUSHION else STRETCH
        return stretched(samples, round(len(samples) * (1 + share)))

    def _picture(self, picture: Picture) -> None:
        tick, starts = self._anchor
        at = self._loop.time()
        due = starts + (picture.tick - tick) * self._period if starts else at
        if due < at - self._period:
            self.drops["picture"] += 1
        elif due <= at or due > at + 1:
            self._show(picture)
        else:
            self._pending[picture.tick] = self._loop.call_at(due, self._show, picture)

    def _show(self, picture: Picture) -> None:
        self._pending.pop(picture.tick, None)
        stamp = rtc.FrameMetadata(user_timestamp=wall(picture.captured or picture.pts), frame_id=picture.tick)
        self.size = picture.width, picture.height
        self.video.capture_frame(frame_of(picture.i420), metadata=stamp)


def frame_of(i420: NDArray[np.uint8]) -> rtc.VideoFrame:
    """(H * 3 / 2, W) uint8 as the SDK's frame, without a copy: it takes an address of flat, writable memory."""
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    flat = (ctypes.c_uint8 * i420.size).from_address(np.ascontiguousarray(i420).ctypes.data)
    return rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, memoryview(flat))


def wall(pts: int) -> int:
    """A time on the channel clock as wall clock microseconds, which a subscriber elsewhere can compare."""
    return time.time_ns() // 1000 - now() + pts


def ramped(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Sound that comes up from nothing."""
    gain = np.ones(len(samples), np.float32)
    gain[:RAMP] = np.linspace(0, 1, len(gain[:RAMP]))
    return (samples * gain).astype(np.int16)


def crossed(before: NDArray[np.int16], after: NDArray[np.int16]) -> NDArray[np.int16]:
    """`after`, begun as `before` begins: what would have followed crosses over into what does, without a click."""
    length = min(RAMP, len(before), len(after))
    gain = np.linspace(0, 1, length, dtype=np.float32)
    made = after.copy()
    made[:length] = before[:length] * (1 - gain) + after[:length] * gain
    return made


def stretched(samples: NDArray[np.int16], length: int) -> NDArray[np.int16]:
    """The same sound in `length` samples; first and last stay, so that neighbours join as before."""
    if length == len(samples) or len(samples) < 2:
        return samples
    at = np.linspace(0, len(samples) - 1, length)
    return np.interp(at, np.arange(len(samples)), samples).round().astype(np.int16)
