"""Training passes over a film: losses, optimiser steps, and after each pass a checkpoint for resuming."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engines.dhlive.networks.mini2 import Mini2Network
from shared.errors import StudioError
from shared.weights.checkpoint import check_state, load_state
from training.dhlive.film_samples import FilmSamples
from training.dhlive.losses import PatchJudge, Perception, judged_as
from training.torch_file import write_torch

RATE, BATCH = 8e-5, 6
CONSTANT, FALLING = 4, 36  # passes at the full rate, and passes over which it falls to zero
PIXELS, PERCEPTION = 10.0, 10.0  # weights of the losses


@dataclass(frozen=True, slots=True)
class PassLosses:
    """Mean losses of a pass.

    pixels: mean absolute difference, 0..1. perception: 0.0 without VGG19's weights.
    """

    pixels: float
    adversarial: float
    judge: float
    perception: float


@dataclass(slots=True)
class Trainer:
    """Both networks with their optimisers.

    passes: number done so far. seed: for weights, order and variation. With the same seed, an interrupted and resumed
        run gives the same result as an uninterrupted one.
    """

    seed: int = 1
    perception: Perception | None = None
    passes: int = 0
    drawing: Mini2Network = field(init=False)
    judge: PatchJudge = field(init=False)
    optimizers: dict[str, torch.optim.Adam] = field(init=False)

    def __post_init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self.drawing, self.judge = Mini2Network(), PatchJudge()
        self.optimizers = {name: torch.optim.Adam(net.parameters(), RATE) for name, net in self._networks().items()}

    def _networks(self) -> dict[str, nn.Module]:
        return {"net_g": self.drawing, "net_d": self.judge}

    def begin_from(self, path: Path) -> None:
        """Load the published network, or another of its kind, as the start. Raises StudioError for another file."""
        wanted = {name: tuple(value.shape) for name, value in self.drawing.state_dict().items()}
        self.drawing.load_state_dict(check_state(load_state(path), wanted, str(path)))

    def run_pass(self, samples: FilmSamples, batch: int = BATCH) -> PassLosses:
        """Run one pass over all frames, in a random order that the seed and the pass number determine."""
        chance = np.random.default_rng([self.seed, self.passes])
        rate = RATE * min(1.0, max(0.0, (CONSTANT + FALLING - self.passes) / FALLING))
        for optimizer in self.optimizers.values():
            optimizer.param_groups[0]["lr"] = rate
        order = chance.permutation(len(samples))
        rows = [self._step(*samples.batch(order[at : at + batch], chance)) for at in range(0, len(order), batch)]
        self.passes += 1
        return PassLosses(*(float(value) for value in np.mean(rows, axis=0)))

    def _step(self, source: Tensor, references: Tensor, target: Tensor) -> tuple[float, float, float, float]:
        drawn = self.draw(source, references)
        judge = 0.5 * (judged_as(self.judge(drawn.detach()), False) + judged_as(self.judge(target), True))
        self._descend("net_d", judge)
        pixels, adversarial = (drawn - target).abs().mean(), judged_as(self.judge(drawn), True)
        seen = drawn.new_zeros(()) if self.perception is None else self.perception(drawn, target)
        self._descend("net_g", PIXELS * pixels + PERCEPTION * seen + adversarial)
        return pixels.item(), adversarial.item(), judge.item(), seen.item()

    def draw(self, source: Tensor, references: Tensor) -> Tensor:
        """Return the drawn mouths, (B, 3, 80, 112), of these people for these sources."""
        drawn: Tensor = self.drawing(source, self.drawing.person(self.drawing.style(references)))
        return drawn

    def _descend(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def save(self, path: Path) -> None:
        """Write the networks as a checkpoint in the published form, which the engine loads. Raises StudioError.

        The file is written completely or not at all.
        """
        held = {
            "epoch": self.passes,
            "state_dict": {name: net.state_dict() for name, net in self._networks().items()},
            "optimizer": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }
        write_torch(held, path)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint that `save` wrote. Raises StudioError for another file."""
        try:
            held = torch.load(path, weights_only=True)
            for name, net in self._networks().items():
                net.load_state_dict(held["state_dict"][name])
                self.optimizers[name].load_state_dict(held["optimizer"][name])
            self.passes = int(held["epoch"])
        except Exception as error:  # loading a file of another kind may raise any exception
            raise StudioError(
                f"Training cannot continue from {path} ({str(error)[:80]}); begin without --resume."
            ) from None
