"""What is handed to LiveKit's library: no hidden copy, and sound and picture on one clock. No server is needed."""

import asyncio
import ctypes
from fractions import Fraction

import numpy as np
import pytest

from services.gateway.livekit_media import CUSHION, Media, frame_of, ramped, stretched
from services.gateway.program import Picture, Sound
from shared.clock import tick_pts

RATE = Fraction(25)


def picture(tick: int, size: tuple[int, int] = (64, 48)) -> Picture:
    i420 = np.full((size[1] * 3 // 2, size[0]), 90, np.uint8)
    return Picture(tick, tick_pts(tick, RATE), i420, "sample", 0, None, None, "live", 0)


def sound(tick: int) -> Sound:
    return Sound(tick, tick_pts(tick, RATE), np.full(1920, 1000, np.int16))


def test_the_library_reads_our_own_planes() -> None:
    received = picture(1).i420.tobytes()
    i420 = np.frombuffer(received, np.uint8).reshape(72, 64)  # what comes from the bus may not be written to
    frame = frame_of(i420)
    assert ctypes.addressof(ctypes.c_char.from_buffer(frame.data)) == i420.ctypes.data
    assert (frame.width, frame.height, bytes(frame.data)) == (64, 48, received)


@pytest.mark.parametrize("pace", [0.9975, 1.0025])
def test_a_clock_that_runs_otherwise_is_followed_without_a_hole(pace: float) -> None:
    """A quarter of a percent is twenty times what clocks do, so that seconds show what hours would."""

    async def run() -> Media:
        media = Media(picture(0), RATE)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for tick in range(1, 200):
            await asyncio.sleep(max(0.0, begun + tick * 0.04 * pace - loop.time()))
            await media.feed(sound(tick))
            await media.feed(picture(tick))
        await media.close()
        return media

    media = asyncio.run(run())
    assert media.corrected >= 5
    assert abs(media.level - CUSHION) < 0.02


def test_a_burst_after_a_stall_does_not_pile_up() -> None:
    async def run() -> Media:
        media = Media(picture(0), RATE)
        await media.feed(sound(1))
        await asyncio.sleep(0.3)
        for tick in range(2, 12):
            await media.feed(sound(tick))
            await media.feed(picture(tick))
        await media.close()
        return media

    media = asyncio.run(run())
    assert media.drops["sound"] >= 6


def test_stretched_sound_keeps_its_ends_and_its_shape() -> None:
    wave = (np.sin(np.arange(1920) * 2 * np.pi * 440 / 48_000) * 8000).astype(np.int16)
    for length in (1910, 1930):
        longer = stretched(wave, length)
        assert (len(longer), longer[0], longer[-1]) == (length, wave[0], wave[-1])
        # A jump would show as a step larger than the wave's own steepest.
        assert np.abs(np.diff(longer.astype(int))).max() <= np.abs(np.diff(wave.astype(int))).max() * 1.02 + 1
    assert stretched(wave, 1920) is wave


def test_sound_after_a_hole_comes_up_softly() -> None:
    soft = ramped(np.full(1920, 10_000, np.int16))
    assert soft[0] == 0 and soft[300] == 10_000 and np.diff(soft.astype(int)).max() < 100
