"""Selection of the steps that reuse the prediction of the step before.

The decision depends on the steps' times alone, so it is made once for all windows.

After TeaCache (Liu et al. 2024): the modulations computed from time change little from one step to the next, and a
polynomial estimates how much the prediction changes as a result. Each window keeps its own guided velocity.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from engines.stableavatar.loop.schedule import TRAINED_STEPS
from engines.stableavatar.networks.transformer import Transformer

POLYNOMIAL = (-5.21862437e4, 9.23041404e3, -5.28275948e2, 13.6987616, -0.0499875664)  # published for the 1.3 B model
FIRST_STEPS = 5  # first steps, which are always computed


def changes(transformer: Transformer, levels: Tensor) -> list[float]:
    """Return the relative change of the modulations from each step to the next."""
    times = levels[:-1].to(transformer.device) * TRAINED_STEPS
    with torch.no_grad():
        modulations = [transformer.times(time[None])[0].float() for time in times]
    return [float((b - a).abs().mean() / a.abs().mean()) for a, b in pairwise(modulations)]


def reused_steps(changed: list[float], threshold: float) -> list[bool]:
    """Return, for each step, whether it reuses the last computed velocity.

    changed: the change from each step to the next, one fewer than the steps.
    """
    reused, total = [False], 0.0
    for step, change in enumerate(changed, 1):
        total += max(0.0, float(np.polyval(POLYNOMIAL, change)))  # negative near 0, where it was not fitted
        keeps = FIRST_STEPS <= step < len(changed) and total < threshold
        reused.append(keeps)
        total = total if keeps else 0.0
    return reused
