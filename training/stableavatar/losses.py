"""Loss of a predicted velocity: its error, weighted by face and lips, and the error of its change over time."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Weighting = Literal["all", "face", "lips"]
CHANCES: tuple[tuple[float, Weighting], ...] = ((0.4, "all"), (0.1, "face"), (0.5, "lips"))
CHANGE = 0.25  # weight of the error in the change from one latent frame to the next


@dataclass(frozen=True, slots=True)
class VelocityLoss:
    """The loss of a step.

    recipe: the loss that training minimises. plain: the unweighted mean square error, for the log. () float32 each.
    """

    recipe: Tensor
    plain: Tensor


def chosen_weighting(chance: float) -> Weighting:
    """Return the weighting for a random number in 0..1."""
    for share, name in CHANCES:
        if chance < share:
            return name
        chance -= share
    return CHANCES[-1][1]


def weights_of(weighting: Weighting, face: Tensor, lips: Tensor) -> Tensor:
    """Return weights of the square error: everywhere, with face and lips emphasised; only the face; only the lips."""
    return {"all": 1 + face + lips, "face": face, "lips": lips}[weighting]


def velocity_loss(predicted: Tensor, wanted: Tensor, weights: Tensor) -> VelocityLoss:
    """Return the loss of a predicted velocity, weighted and plain.

    predicted, wanted: (1, 16, f, h, w). weights: (f, h, w). The original computes the change along the channels, which
        have no order; here it is along time, as was evidently intended.
    """
    apart = (predicted.float() - wanted.float()) ** 2
    change = (predicted.float().diff(dim=2) - wanted.float().diff(dim=2)) ** 2
    moved = change.mean() if change.numel() else torch.zeros_like(apart).mean()
    return VelocityLoss((apart * weights).mean() + CHANGE * moved, apart.mean())
