"""Media passed to LiveKit's library, without a server: no hidden copy, and sound and video on one clock."""

import asyncio
import ctypes
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from publishing.audio_queue import HIGH_LEVEL_S, TARGET_LEVEL_S, AudioQueue, cross_fade, fade_in
from publishing.media import RoomMedia, livekit_frame
from shared.media.voice_ring import stretched
from shared.wire.program import ProgramFrame, ProgramSound
from tests.support.running.driven_loop import DrivenLoop, run_driven
from tests.support.running.program_ticks import BLOCK, RATE_FPS, make_frame, sound


def test_the_library_reads_our_own_planes() -> None:
    received = make_frame(1).i420.tobytes()
    i420 = np.frombuffer(received, np.uint8).reshape(72, 64)  # read-only, like data from the bus
    frame = livekit_frame(i420)
    assert ctypes.addressof(ctypes.c_char.from_buffer(frame.data)) == i420.ctypes.data
    assert (frame.width, frame.height, bytes(frame.data)) == (64, 48, received)


@pytest.mark.parametrize("pace", [0.9995, 0.9999, 1.0001, 1.0005])
def test_hours_beside_a_clock_that_runs_otherwise_leave_no_hole(pace: float) -> None:
    """Three simulated hours in which the sender's second is longer or shorter than ours and blocks arrive unevenly."""
    cushion, uneven = AudioQueue(), np.random.default_rng(1)
    levels = []
    for tick in range(3 * 3600 * 25):
        at = tick * 0.04 * pace + uneven.uniform(0, 0.005)
        cushion.add(BLOCK, at)
        levels.append(cushion.level)
    assert (cushion.holes, cushion.left_out) == (1, 0)  # the beginning is the only hole
    assert max(levels) < TARGET_LEVEL_S + 0.015 and min(levels) > TARGET_LEVEL_S - 0.015
    assert cushion.corrected > 100


def test_a_count_that_went_astray_is_put_right_by_the_earliest_answer() -> None:
    cushion, uneven = AudioQueue(), np.random.default_rng(1)
    missed = 0.013  # seconds for which the queue was empty unnoticed
    cushion.add(BLOCK, 0.0)
    for tick in range(1, 12):
        cushion.check()
        cushion.add(BLOCK, tick * 0.04)
        cushion.answered(cushion.empty + missed + uneven.uniform(0, 0.03) * (tick != 5), cushion.empty)
    counted = cushion.empty
    cushion.check()
    assert (
        cushion.empty - counted == pytest.approx(0) and cushion.level > TARGET_LEVEL_S
    )  # the count was corrected once, earlier
    truth = TARGET_LEVEL_S + 12 * 0.04 + missed
    assert cushion.empty == pytest.approx(truth, abs=0.001)


def test_a_burst_after_a_stall_is_left_out_and_not_piled_up() -> None:
    cushion = AudioQueue()
    for tick in range(100):
        cushion.add(BLOCK, tick * 0.04)
    taken = [cushion.add(BLOCK, 4.5) is not None for _ in range(13)]  # half a second of sound at once
    assert sum(taken) == 1 and cushion.left_out == 12
    assert cushion.empty - 4.5 < HIGH_LEVEL_S + 0.04


def test_what_comes_after_a_clear_begins_softly_and_is_no_hole() -> None:
    cushion = AudioQueue()
    for tick in range(3):
        cushion.add(BLOCK, tick * 0.04)
    cushion.answered(0.0, 1.0)
    cushion.clear()
    put = cushion.add(np.full(1920, 10_000, np.int16), 0.1)
    assert put is not None
    samples, leaves = put
    lead = int(TARGET_LEVEL_S * 48_000)
    assert leaves == pytest.approx(0.1 + TARGET_LEVEL_S) and not samples[: lead + 1].any() and samples[-1] == 10_000
    assert (cushion.holes, cushion.left_out) == (1, 0)
    for _ in range(10):
        cushion.answered(0.5, 0.5)
    counted = cushion.empty
    cushion.check()
    assert cushion.empty == counted  # answers about the queue before the clear no longer count


def test_known_speech_is_queued_once_and_a_late_block_leaves_no_hole() -> None:
    """Ten blocks of speech, with the following 0.2 s known each time; the fourth block arrives 0.15 s late."""
    cushion, speech = AudioQueue(), np.arange(1, 10 * 1920 + 1).astype(np.int16)
    cushion.add(BLOCK, 0.0)
    queued, leaves = [], []
    for tick in range(1, 11):
        at = tick * 0.04 + (0.15 if tick == 4 else 0.0)
        block, ahead = speech[(tick - 1) * 1920 : tick * 1920], speech[tick * 1920 : (tick + 5) * 1920]
        put = cushion.add(block, at, ahead)
        assert put is not None
        queued.append(put[0])
        leaves.append(put[1])
    assert np.array_equal(np.concatenate(queued), speech)
    assert (cushion.holes, cushion.left_out, cushion.corrected) == (1, 0, 0)  # the beginning is the only hole
    assert leaves == pytest.approx([TARGET_LEVEL_S + tick * 0.04 for tick in range(1, 11)])
    put = cushion.add(BLOCK, 11 * 0.04)
    assert put is not None and put[1] == pytest.approx(TARGET_LEVEL_S + 11 * 0.04)  # silence follows the speech


def test_after_a_gap_frames_go_by_the_sound_that_follows_it() -> None:
    """A stall of 0.5 s: the first half of the late block was queued early, and was played before the gap."""
    cushion, speech = AudioQueue(), np.full(1920, 9, np.int16)
    cushion.add(BLOCK, 0.0)
    cushion.add(speech, 0.04, speech[:960])
    put = cushion.add(speech, 0.54, speech)
    assert put is not None and cushion.holes == 2
    samples, leaves = put
    lead = round(TARGET_LEVEL_S * 48_000)
    assert len(samples) == lead + 960 + 1920 and leaves + 960 / 48_000 == pytest.approx(0.54 + TARGET_LEVEL_S)
    following = cushion.add(speech, 0.58)
    assert following is not None and not len(following[0])
    assert following[1] == pytest.approx(leaves + 0.04)


def test_speech_that_was_queued_early_and_cleared_does_not_count_as_queued() -> None:
    cushion, speech = AudioQueue(), np.full(6 * 1920, 9, np.int16)
    cushion.add(BLOCK, 0.0)
    cushion.add(speech[:1920], 0.04, speech[1920:])
    cushion.clear()
    put = cushion.add(BLOCK, 0.08)
    assert put is not None and len(put[0]) == int(TARGET_LEVEL_S * 48_000) + 1920
    assert put[1] == pytest.approx(0.08 + TARGET_LEVEL_S)


def test_a_block_that_waits_for_its_turn_is_not_heard_after_a_clear() -> None:
    async def run() -> list[int]:
        media = RoomMedia(make_frame(0), RATE_FPS)
        turn, put = asyncio.Event(), []

        async def capture_frame(frame: Any) -> None:
            put.append(int(np.frombuffer(frame.data, np.int16).max()))
            await turn.wait()

        media.audio.capture_frame = capture_frame  # type: ignore[method-assign]
        await media.feed(ProgramSound(1, 0, BLOCK * 0 + 1))
        await asyncio.sleep(0)
        media.cushion.empty -= 0.03  # time that has been heard by now; else the next block is left out
        waiting = asyncio.create_task(media.feed(ProgramSound(2, 0, BLOCK * 0 + 2)))
        await asyncio.sleep(0)
        media.clear_sound()
        turn.set()
        await waiting
        await media.feed(ProgramSound(3, 0, BLOCK * 0 + 3))
        await asyncio.sleep(0)
        await media.close()
        return put

    assert run_driven(run()) == [1, 3]


def test_a_block_is_not_queued_if_the_queue_is_cleared_before_its_turn_begins() -> None:
    async def run() -> list[object]:
        media, put = RoomMedia(make_frame(0), RATE_FPS), list[object]()

        async def capture_frame(frame: object) -> None:
            put.append(frame)

        media.audio.capture_frame = capture_frame  # type: ignore[method-assign]
        await media.feed(ProgramSound(1, 0, BLOCK * 0 + 1))
        media.clear_sound()
        await asyncio.sleep(0)
        await media.close()
        return put

    assert asyncio.run(run()) == []


def test_a_frame_is_shown_when_its_sound_is_heard() -> None:
    class NotingMedia(RoomMedia):
        def _show(self, make_frame: ProgramFrame) -> None:
            shown[make_frame.tick] = self._loop.time()
            super()._show(make_frame)

    async def run() -> None:
        media = NotingMedia(make_frame(0), RATE_FPS)

        async def capture_frame(_: object) -> None:
            await asyncio.sleep(media.cushion.empty - media._answers_at - media._loop.time())  # like the library

        media.audio.capture_frame = capture_frame  # type: ignore[method-assign, assignment]
        for tick in range(1, 20):
            await media.feed(sound(tick))
            await media.feed(make_frame(tick))
            due[tick] = media._anchor[1]
            await asyncio.sleep(0.04)
        await media.close()

    shown: dict[int, float] = {}
    due: dict[int, float] = {}
    run_driven(run())
    assert len(due) == 19 and {tick: shown[tick] for tick in due} == pytest.approx(due)


def test_a_loop_that_was_held_up_shows_no_frame_after_a_later_one() -> None:
    async def run() -> tuple[list[int], int]:
        media = RoomMedia(make_frame(0), Fraction(2))
        handed: list[int] = []

        def capture_frame(_: object, metadata: Any) -> None:
            handed.append(metadata.frame_id)

        media.video.capture_frame = capture_frame  # type: ignore[assignment]
        await media.feed(sound(1))
        due = media._anchor[1]
        await media.feed(make_frame(1))
        assert isinstance(media._loop, DrivenLoop)
        media._loop.at = due + 0.55  # frame 1 is overdue, and frame 2 is due now, half a second later
        await media.feed(make_frame(2))
        await asyncio.sleep(0.1)
        await media.close()
        return handed, media.late

    assert run_driven(run()) == ([2], 1)


def test_stretched_sound_keeps_its_ends_and_its_shape() -> None:
    wave = (np.sin(np.arange(1920) * 2 * np.pi * 440 / 48_000) * 8000).astype(np.int16)
    for length in (1910, 1930):
        longer = stretched(wave, length)
        assert (len(longer), longer[0], longer[-1]) == (length, wave[0], wave[-1])
        # A jump would be a step larger than the largest step of the wave itself.
        assert np.abs(np.diff(longer.astype(int))).max() <= np.abs(np.diff(wave.astype(int))).max() * 1.02 + 1
    assert stretched(wave, 1920) is wave


def test_sound_after_a_hole_comes_up_softly() -> None:
    soft = fade_in(np.full(1920, 10_000, np.int16))
    assert soft[0] == 0 and soft[300] == 10_000 and np.diff(soft.astype(int)).max() < 100


def test_where_blocks_are_left_out_nothing_jumps() -> None:
    wave = (np.sin(np.arange(1920 * 5) * 2 * np.pi * 210 / 48_000) * 8000).astype(np.int16).reshape(5, 1920)
    joined = np.concatenate([wave[0], cross_fade(wave[1], wave[4])]).astype(int)
    assert np.abs(np.diff(joined)).max() < 450  # the largest step of the wave is 220; a cut would make thousands
