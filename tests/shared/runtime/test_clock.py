"""The program's grid of ticks, and sound that fits it without a gap."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.clock import sound_samples, tick_after, tick_pts

RATES = [Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(50)]


@given(st.integers(0, 10**13), st.sampled_from(RATES))
def test_the_next_tick_is_the_first_one_later(pts: int, fps: Fraction) -> None:
    tick = tick_after(pts, fps)
    assert tick_pts(tick - 1, fps) <= pts < tick_pts(tick, fps)


@pytest.mark.parametrize("fps", RATES)
def test_sound_blocks_join_without_gap_or_overlap(fps: Fraction) -> None:
    ends = [sound_samples(tick, fps, 48_000) for tick in range(10_000, 11_000)]
    assert all(last == first for (_, last), (first, _) in pairwise(ends))
    assert ends[-1][1] - ends[0][0] == pytest.approx(1000 * 48_000 / float(fps), abs=1)
