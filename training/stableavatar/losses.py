"""What a predicted velocity is judged by: its error, weighted by face and lips, and that of its change over time."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Weighting = Literal["all", "face", "lips"]
CHANCES: tuple[tuple[float, Weighting], ...] = ((0.4, "all"), (0.1, "face"), (0.5, "lips"))
CHANGE = 0.25  # weight of the error of what changes from one latent frame to the next


@dataclass(frozen=True, slots=True)
class VelocityLoss:
    """The loss of a step.

    recipe: what is descended. plain: the mean square error everywhere, for the log. () float32 each.
    """

    recipe: Tensor
    plain: Tensor


def chosen_weighting(chance: float) -> Weighting:
    """The weighting for a number in 0..1."""
    for share, name in CHANCES:
        if chance < share:
            return name
        chance -= share
    return CHANCES[-1][1]


def weights_of(weighting: Weighting, face: Tensor, lips: Tensor) -> Tensor:
    """Weights of the square error at each place: everything and face and lips more, the face, or the lips."""
    return {"all": 1 + face + lips, "face": face, "lips": lips}[weighting]


def velocity_loss(predicted: Tensor, wanted: Tensor, weights: Tensor) -> VelocityLoss:
    """Mean square error of a predicted velocity, weighted and plain.

    predicted, wanted: (1, 16, f, h, w). weights: (f, h, w). The original takes the change along the channels, which
    have no order; here it is along time, for which it was meant.
    """
    apart = (predicted.float() - wanted.float()) ** 2
    change = (predicted.float().diff(dim=2) - wanted.float().diff(dim=2)) ** 2
    moved = change.mean() if change.numel() else torch.zeros_like(apart).mean()
    return VelocityLoss((apart * weights).mean() + CHANGE * moved, apart.mean())
