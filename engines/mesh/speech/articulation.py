"""Mouth shapes from visemes, every 10 ms: how far open, how wide, how round, when closed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.mesh.speech.visemes import VISEMES
from shared.easing import smoothstep

# Lip gap in eye distances (an outer eye distance is about 90 mm), width (-1 round to 1 spread), how far the lips are
# pushed forward, how far the lower lip is tucked under the upper teeth. Measured in photographs of spoken sounds.
_MOUTHS = {
    "silence": (0.000, 0.00, 0.00, 0.0),
    "pbm": (0.000, -0.05, 0.00, 0.0),
    "fv": (0.028, 0.10, 0.00, 1.0),
    "u": (0.040, -1.00, 1.00, 0.0),
    "o": (0.088, -0.75, 0.60, 0.0),
    "a": (0.150, 0.05, 0.00, 0.0),
    "e": (0.088, 0.40, 0.00, 0.0),
    "i": (0.058, 0.85, 0.00, 0.0),
    "s": (0.040, 0.45, 0.00, 0.0),
    "sh": (0.055, -0.55, 0.80, 0.0),
    "t": (0.055, 0.15, 0.00, 0.0),
    "k": (0.065, 0.05, 0.00, 0.0),
    "r": (0.050, -0.35, 0.35, 0.0),
}
MOUTHS = np.array([_MOUTHS[name] for name in VISEMES], np.float32)
SILENCE, CLOSED, TUCKED = VISEMES.index("silence"), VISEMES.index("pbm"), VISEMES.index("fv")

# A mouth moves continuously from each sound to the next, so frames before and after contribute.
PAST, FUTURE = 3, 2
BLEND = np.array([1, 2, 3, 3, 2, 1], np.float32) / 12
# From CLOSING on lips begin to close, and from SHUT on they are closed: a half-closed p does not look like a p.
CLOSING, SHUT = 0.25, 0.55


@dataclass(frozen=True, slots=True)
class MouthShape:
    """Shape of a speaking mouth.

    gap: eye distances between the lips. wide: -1 round to 1 spread. forward: 0 to 1. tuck: 0 to 1, lower lip under the
        upper teeth. closed: 0 to 1, lips pressed together. speaking: 0 to 1, from the portrait's own mouth to the shape
        described by the other fields.
    """

    gap: float
    wide: float
    forward: float
    tuck: float
    closed: float
    speaking: float


REST = MouthShape(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def mouth(told: NDArray[np.float32], effort: float, presence: float) -> MouthShape:
    """Return the mouth shape for viseme probabilities, (PAST + 1 + FUTURE, 13), around its time.

    effort: about 1, less in soft syllables. presence: 0 to 1, how much the host is within speech; in a pause within
        speech the mouth stays ready to continue.
    """
    share = BLEND @ told
    gap, wide, forward, _ = (float(v) for v in share @ MOUTHS)
    near = (told[1:, CLOSED] + told[:-1, CLOSED]) / 2  # the mean of two frames, since a single frame is often wrong
    tucked = (told[1:, TUCKED] + told[:-1, TUCKED]) / 2
    return MouthShape(
        gap=gap * effort,
        wide=wide,
        forward=forward,
        tuck=_step(float(tucked[1:].max()), 0.3, 0.6),
        closed=_step(float(near[1:].max()), CLOSING, SHUT),
        speaking=max(presence, _step(1.0 - float(share[SILENCE]), 0.1, 0.6)),
    )


def mix_mouths(a: MouthShape, b: MouthShape, share: float) -> MouthShape:
    """Interpolate between two mouth shapes; share 0 is `a`, 1 is `b`."""
    return MouthShape(*(x + (y - x) * share for x, y in zip(mouth_values(a), mouth_values(b), strict=True)))


def mouth_values(of: MouthShape) -> tuple[float, ...]:
    """Return the fields of a mouth shape in the order of `MouthShape`'s arguments."""
    return (of.gap, of.wide, of.forward, of.tuck, of.closed, of.speaking)


def _step(value: float, low: float, high: float) -> float:
    return smoothstep((value - low) / (high - low))
