"""The program as two sources for LiveKit's SDK, frames and sound, kept in sync by means of the sound queue.

A tick's sound is queued on arrival, behind the cushion of sound that is already waiting. So the time at which its first
sample leaves the queue is known, and the tick's frame is passed to the SDK at that time.
"""

import asyncio
import ctypes
import math
import time
from fractions import Fraction

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from publishing.audio_queue import NO_SAMPLES, AudioQueue
from shared.media.array_types import AudioSamples
from shared.runtime.clock import SOUND_RATE_HZ, US, now, tick_pts
from shared.wire.program import ProgramFrame, ProgramSound


class RoomMedia:
    """The video and the audio source of one publication. They are kept across reconnects and scene changes.

    Not thread-safe: used in one event loop. late: frames that came too late for their sound, or after a newer frame.
    """

    def __init__(self, first: ProgramFrame, rate: Fraction, ahead_s: float = 0.0) -> None:
        """first: shown until the next frame. ahead_s: most seconds of sound after a tick's that `feed` is given."""
        self.video = rtc.VideoSource(first.width, first.height)
        # The audio source makes a caller wait while its queue holds more than this, and has room for twice as much.
        # Seconds, a multiple of 10 ms.
        self._answers_at = math.ceil(100 / rate) / 100 + ahead_s
        self.audio = rtc.AudioSource(SOUND_RATE_HZ, 1, round(self._answers_at * 1000))
        self.size = first.width, first.height
        self.cushion = AudioQueue()
        self.late = 0
        self._rate, self._period = rate, float(1 / rate)
        self._loop = asyncio.get_running_loop()
        self._anchor = 0, 0.0  # a tick and the loop time at which its first sample leaves
        self._putting: asyncio.Task[None] | None = None
        self._pending: dict[int, asyncio.TimerHandle] = {}
        self._clears = 0
        self._shown = -1  # the pts of the last frame that was handed over
        # Until its first frame a source sends black; the track must begin with the program.
        self._show(first)

    @property
    def dropped(self) -> int:
        """Number of frames that came too late and of sound blocks left out because too much was waiting."""
        return self.late + self.cushion.left_out

    @property
    def sound_leaves(self) -> tuple[int, float]:
        """The tick of the last queued block of sound, and the loop time at which its first sample leaves the queue."""
        return self._anchor

    def sound_leaves_at(self, pts: int) -> float:
        """Return the loop time at which the sound of `pts` leaves the queue; 0 before there was any sound."""
        tick, leaves = self._anchor
        return leaves + (pts - tick_pts(tick, self._rate)) / US if leaves else 0.0

    def clear_sound(self) -> None:
        """Drop the sound that waits in the queue."""
        self._clears += 1
        self.audio.clear_queue()
        self.cushion.clear()

    async def feed(self, item: ProgramFrame | ProgramSound, ahead: AudioSamples = NO_SAMPLES) -> None:
        """Pass one tick's frame or sound to the SDK; returns when the next one can be accepted.

        ahead: the samples with which the next ticks' sound will begin, as far as they are certain.
        """
        if isinstance(item, ProgramSound):
            await self._sound(item, ahead)
        else:
            self._frame(item)

    async def close(self) -> None:
        """Drop pending frames and sound, and close the sources."""
        if self._putting:
            self._putting.cancel()
        for timer in self._pending.values():
            timer.cancel()
        self._pending.clear()
        await self.audio.aclose()
        await self.video.aclose()

    async def _sound(self, sound: ProgramSound, ahead: AudioSamples) -> None:
        if self._putting is None or self._putting.done():
            self.cushion.check()
        at = self._loop.time()
        put = self.cushion.add(sound.samples, at, ahead)
        if put is None:
            return
        samples, leaves = put
        self._anchor = sound.tick, leaves
        if not len(samples):
            return  # the queue has all of it already
        counted = self.cushion.empty
        clears = self._clears
        if self._putting:
            await self._putting  # the SDK takes one block at a time
        if clears != self._clears:
            return  # this block belongs to the sound that was cleared in the meantime
        self._putting = self._loop.create_task(self._put(samples, counted, counted - at > self._answers_at, clears))

    async def _put(self, samples: AudioSamples, counted: float, waits: bool, clears: int) -> None:
        """Queue samples, unless the queue has been cleared since `clears` was read.

        counted: loop time at which the queue then runs dry. waits: whether the queue is so full that the SDK answers
        only after it has drained to `_answers_at`; an answer that comes earlier says nothing about the level.
        """
        if clears != self._clears:
            return
        await self.audio.capture_frame(rtc.AudioFrame(samples.tobytes(), SOUND_RATE_HZ, 1, len(samples)))
        if waits and clears == self._clears:  # otherwise the answer is about sound that was cleared
            self.cushion.answered(self._loop.time() + self._answers_at, counted)

    def _frame(self, frame: ProgramFrame) -> None:
        tick, starts = self._anchor
        at = self._loop.time()
        due = starts + (frame.tick - tick) * self._period if starts else at
        if due < at - self._period:
            self.late += 1
        elif due <= at or due > at + 1:
            self._show(frame)
        else:
            self._pending[frame.tick] = self._loop.call_at(due, self._show, frame)

    def _show(self, frame: ProgramFrame) -> None:
        self._pending.pop(frame.tick, None)
        # A blocked event loop may run the timer of a scheduled frame after a newer frame was already shown.
        if frame.pts <= self._shown:
            self.late += 1
            return
        self._shown = frame.pts
        stamp = rtc.FrameMetadata(user_timestamp=wall(frame.captured or frame.pts), frame_id=frame.tick)
        self.size = frame.width, frame.height
        self.video.capture_frame(livekit_frame(frame.i420), metadata=stamp)


def livekit_frame(i420: NDArray[np.uint8]) -> rtc.VideoFrame:
    """Wrap an I420 image, (H * 3 / 2, W) uint8 and contiguous, as a frame of the SDK without copying it.

    The frame refers to the array's memory, so the array must outlive it.
    """
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    assert i420.flags.c_contiguous
    flat = (ctypes.c_uint8 * i420.size).from_address(i420.ctypes.data)
    return rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, memoryview(flat))


def wall(pts: int) -> int:
    """Convert a channel clock time to wall clock microseconds, which a subscriber on another machine can compare."""
    return time.time_ns() // 1000 - now() + pts
