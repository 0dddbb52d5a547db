"""Sizes of narrow LivePortrait networks that run in milliseconds on a CPU."""

from collections.abc import Mapping
from typing import Any

NARROW: Mapping[str, Mapping[str, Any]] = {
    "appearance": {"width": 4, "channels": 8, "depth": 2, "residuals": 1},
    "motion": {"depths": (1, 1, 1, 1), "widths": (8, 8, 8, 16)},
    "warping": {"width": 4, "channels": 8, "depth": 2, "compress": 1, "sizes": (4, 8)},
    "decoder": {"width": 4, "hidden": 8},
}
