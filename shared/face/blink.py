"""Blinks at natural, irregular times: a pure function of time, for waiting hosts and scripted drivers."""

import numpy as np

from shared.easing import smoothstep

# One blink starts at a random time in each slot, so that intervals are irregular, from 2 to 6 s (mean 4).
SLOT_S, PLAY_S = 4.0, 1.0
CLOSING_S, SHUT_S, OPENING_S = 0.09, 0.05, 0.16  # a lid falls faster than it rises


def blink_closure(seconds: float) -> float:
    """How far the lids are closed at this time, 0 to 1."""
    slot = int(np.floor(seconds / SLOT_S))
    return max(closure_since(seconds - blink_start(index)) for index in (slot - 1, slot, slot + 1))


def blink_start(index: int) -> float:
    """Return the time in seconds at which the blink of this number begins."""
    chance = np.random.default_rng([3, index & 0xFFFFFFFF]).uniform(-PLAY_S, PLAY_S)
    return SLOT_S * (index + 0.5) + float(chance)


def closure_since(seconds: float) -> float:
    """How far the lids are closed this long after a blink began, 0 to 1."""
    if seconds <= 0.0:
        return 0.0
    if seconds < CLOSING_S:
        share = seconds / CLOSING_S
    elif seconds < CLOSING_S + SHUT_S:
        share = 1.0
    else:
        share = 1.0 - (seconds - CLOSING_S - SHUT_S) / OPENING_S
    return smoothstep(share)
