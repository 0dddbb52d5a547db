"""Which steps take over the prediction of the step before.

Decided by their time alone, so once a step and for all windows.

After TeaCache (Liu et al. 2024): the modulations that come from time change little from one step to the next, and a
polynomial says how much the prediction then does. What is kept is each window's own guided velocity.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from engines.stableavatar.loop.schedule import TRAINED_STEPS
from engines.stableavatar.networks.transformer import Transformer

POLYNOMIAL = (-5.21862437e4, 9.23041404e3, -5.28275948e2, 13.6987616, -0.0499875664)  # published for the 1.3 B model
FIRST_STEPS = 5  # that are always computed


def changes(transformer: Transformer, levels: Tensor) -> list[float]:
    """How much the modulations change from each step to the next, as a part of what they were."""
    times = levels[:-1].to(transformer.device) * TRAINED_STEPS
    with torch.no_grad():
        modulations = [transformer.times(time[None])[0].float() for time in times]
    return [float((b - a).abs().mean() / a.abs().mean()) for a, b in pairwise(modulations)]


def reused_steps(changed: list[float], threshold: float) -> list[bool]:
    """For each step, whether it reuses the velocity that was computed last.

    changed: the change from each step to the next, one fewer than the steps.
    """
    reused, total = [False], 0.0
    for step, change in enumerate(changed, 1):
        total += max(0.0, float(np.polyval(POLYNOMIAL, change)))  # below 0 near no change, where it was not fitted
        keeps = FIRST_STEPS <= step < len(changed) and total < threshold
        reused.append(keeps)
        total = total if keeps else 0.0
    return reused
