"""Drift correction of live sound against the channel clock: hours of drift, jittering arrival times, gaps."""

import numpy as np
import pytest

from services.capture.audio_drift import DriftCorrector
from shared.runtime.clock import SOUND_RATE_HZ, US

BLOCK_SAMPLES = 960
TONE_HZ = 500


def tone(first: int, count: int) -> np.ndarray:
    wave = 8000 * np.sin(2 * np.pi * TONE_HZ * np.arange(first, first + count) / SOUND_RATE_HZ)
    return np.asarray(wave, np.int16)


@pytest.mark.parametrize(("parts_per_million", "minutes"), [(-40, 60), (300, 20)])
def test_hours_of_a_card_that_runs_wrong_stay_in_time_without_a_click(parts_per_million: int, minutes: int) -> None:
    steady, chance = DriftCorrector(), np.random.default_rng(1)
    true = 1e9
    worst, steepest, before = 0.0, 0, None
    block = tone(0, BLOCK_SAMPLES)  # ten whole periods, so that identical blocks join without a step
    largest_step = 8000 * 2 * np.pi * TONE_HZ / SOUND_RATE_HZ + 2
    for _ in range(minutes * 60 * 50):
        pts, out = steady.place_block(int(true + chance.uniform(0, 15_000)), block)
        worst = max(worst, abs(pts - true - 7_500))
        joined = out if before is None else np.concatenate([before, out])
        steepest = max(steepest, int(np.abs(np.diff(joined.astype(np.int32))).max()))
        before = out[-1:]
        true += BLOCK_SAMPLES * US / SOUND_RATE_HZ * (1 + parts_per_million / 1e6)
    assert worst < 20_000
    assert steepest <= largest_step * 1.01


def test_sound_in_time_is_passed_on_as_it_is() -> None:
    steady = DriftCorrector()
    for number in range(500):
        at = 5_000_000 + number * 20_000
        pts, out = steady.place_block(at, tone(number * BLOCK_SAMPLES, BLOCK_SAMPLES))
        assert pts == at and np.array_equal(out, tone(number * BLOCK_SAMPLES, BLOCK_SAMPLES))


def test_after_a_hole_it_begins_where_the_sound_is() -> None:
    steady = DriftCorrector()
    steady.place_block(0, tone(0, BLOCK_SAMPLES))
    assert steady.place_block(20_000, tone(BLOCK_SAMPLES, BLOCK_SAMPLES))[0] == 20_000
    assert steady.place_block(3_000_000, tone(0, BLOCK_SAMPLES))[0] == 3_000_000
