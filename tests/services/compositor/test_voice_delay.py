"""Delay of the voice against the program clock."""

import numpy as np

from services.compositor.voice_delay import VoiceDelay, VoicePlayer
from shared.media.voice_ring import VoiceBuffer
from shared.runtime.clock import SOUND_RATE_HZ, US

SECOND_SAMPLES = SOUND_RATE_HZ


def tone(count: int, start: int = 0) -> np.ndarray:
    wave = 8000 * np.sin(2 * np.pi * 440 * (start + np.arange(count)) / SOUND_RATE_HZ)
    return np.asarray(wave, np.int16)


def test_blocks_of_any_size_come_out_as_they_went_in() -> None:
    buffer, sound = VoiceBuffer(), tone(3 * SECOND_SAMPLES)
    at, sizes = 0, np.random.default_rng(0).integers(100, 3000, 200)
    for size in sizes:
        buffer.write(10 * US + at * US // SOUND_RATE_HZ, sound[at : at + size])
        at = min(at + size, len(sound))
    assert np.array_equal(buffer.read(10 * SECOND_SAMPLES, 3 * SECOND_SAMPLES), sound)


def test_silence_where_nothing_was_said_and_old_sound_is_gone() -> None:
    buffer = VoiceBuffer()
    buffer.write(0, tone(SECOND_SAMPLES))
    buffer.write(2 * US, tone(SECOND_SAMPLES))
    assert not buffer.read(SECOND_SAMPLES, SECOND_SAMPLES).any()
    assert buffer.read(2 * SECOND_SAMPLES, 100).any()
    buffer.write(100 * US, tone(SECOND_SAMPLES))
    assert not buffer.read(2 * SECOND_SAMPLES, SECOND_SAMPLES).any()
    assert not buffer.read(99 * SECOND_SAMPLES, SECOND_SAMPLES).any()
    buffer.clear()
    assert not buffer.read(100 * SECOND_SAMPLES, SECOND_SAMPLES).any()


def test_the_delay_follows_the_frame_but_not_its_jitter() -> None:
    delay = VoiceDelay()
    for _ in range(5):
        delay.add_measurement(30_000)
    assert delay.us == 30_000
    for number in range(250):
        delay.add_measurement(30_000 + (12_000 if number % 2 else -12_000))
    assert delay.us == 30_000
    for _ in range(50):
        delay.add_measurement(90_000)
    assert delay.us == 90_000


def test_no_click_when_the_delay_or_the_mute_changes() -> None:
    """A change of delay or mute makes no click: a 440 Hz tone moves at most 460 a sample, a jump moves thousands."""
    player = VoicePlayer()
    player.buffer.write(0, tone(4 * SECOND_SAMPLES))
    blocks = []
    for number in range(60):
        player.delay.us = 50_000 if number < 30 else 91_000
        gain = 0.0 if 40 <= number < 50 else 1.0
        blocks.append(player.block(SECOND_SAMPLES + number * 1920, 1920, gain))
    heard = np.concatenate(blocks).astype(int)
    assert np.abs(np.diff(heard)).max() < 1000
    assert not blocks[45].any() and blocks[55].any()


def test_the_voice_is_heard_by_the_delay_later() -> None:
    player, sound = VoicePlayer(), tone(2 * SECOND_SAMPLES)
    player.delay.us = 40_000
    player.buffer.write(5 * US, sound)
    for number in range(5):
        got = player.block(5 * SECOND_SAMPLES + 1920 * (number + 1), 1920, 1.0)
        assert np.array_equal(got[300:], sound[1920 * number : 1920 * (number + 1)][300:])


def test_an_interrupted_voice_fades_out_at_once_and_without_a_click() -> None:
    player = VoicePlayer()
    player.buffer.write(0, tone(4 * SECOND_SAMPLES))
    blocks = [player.block(SECOND_SAMPLES, 1920, 1.0)]
    blocks.append(player.block(SECOND_SAMPLES + 1920, 1920, 1.0))
    player.switch()
    player.switch()  # a second call before the next block has no effect
    blocks += [player.block(SECOND_SAMPLES + 1920 * number, 1920, 1.0) for number in (2, 3)]
    assert np.abs(np.diff(np.concatenate(blocks[1:]).astype(int))).max() < 1000
    assert blocks[1].any() and not blocks[2][300:].any() and not blocks[3].any()


def test_a_declared_delay_is_taken_at_once_and_measured_from_then_on() -> None:
    delay = VoiceDelay()
    delay.set_latency(120_000)
    assert delay.us == 120_000 and delay.settled
    delay.add_measurement(400_000)  # a single late face does not change the delay
    assert delay.us == 120_000
