"""Training steps, and the file from which training resumes as if it had never stopped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from engines.stableavatar.layout import PER_LATENT
from engines.stableavatar.loop.schedule import TRAINED_STEPS, shifted
from shared.errors import StudioError
from training.stableavatar.changes import TrainedChanges
from training.stableavatar.losses import VelocityLoss, chosen_weighting, velocity_loss, weights_of
from training.stableavatar.preparation import TrainingClip
from training.torch_file import write_torch

Silence = Literal["behind", "before"]
RATE, WARM_UP_STEPS = 2e-5, 100
DECAY, EPSILON, MOST_GRADIENT = 3e-2, 1e-10, 0.05
UNHEARD, CLIP_LEVEL = 0.1, 0.3  # share of steps without speech; of steps in which a frame uses all of the clip's speech


@dataclass(frozen=True, slots=True)
class StepDraw:
    """Random choices of a step.

    clip: its number. level: the noise's level, 0..1. noise: in the latents' shape. weighting: 0..1.
    """

    clip: int
    level: Tensor
    noise: Tensor
    hears: bool
    clip_level: bool
    weighting: float


@dataclass(slots=True)
class TransformerTrainer:
    """Trains the transformer, one step at a time.

    clips: files of `prepare`. steps: number done so far. seed: for clips, noise and all other random choices; those of
        a step depend only on the seed and the step's number. silence: where the speech is zeroed in steps without
        speech: behind the adapter, as when a clip is generated, or before it, as in the training of the published
        model.
    """

    changes: TrainedChanges
    clips: Sequence[Path]
    rate: float = RATE
    seed: int = 1
    silence: Silence = "behind"
    steps: int = 0
    optimizer: torch.optim.AdamW = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.AdamW(
            self.changes.parameters(), self.rate, betas=(0.9, 0.999), eps=EPSILON, weight_decay=DECAY
        )
        self.changes.network.checkpointing = True

    def step(self) -> tuple[float, float]:
        """Run one optimiser step; return the recipe's loss and the plain error. Raises StudioError on overflow."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, (self.steps + 1) / WARM_UP_STEPS)
        loss = self.loss(self._draw(self.steps))
        recipe, plain = float(loss.recipe.detach()), float(loss.plain.detach())
        if not math.isfinite(recipe):
            raise StudioError(
                f"The loss overflowed at step {self.steps + 1}; continue with --resume and a smaller --rate."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.recipe.backward()
        torch.nn.utils.clip_grad_norm_(self.changes.parameters(), MOST_GRADIENT)
        self.optimizer.step()
        self.steps += 1
        return recipe, plain

    def measured(self, count: int = 8) -> float:
        """Return the plain error for the same noise every time, which varies less than the error of the steps."""
        with torch.no_grad():
            draws = [self._draw(-1 - number) for number in range(count)]
            return sum(float(self.loss(each).plain) for each in draws) / count

    def _draw(self, step: int) -> StepDraw:
        chance = torch.Generator().manual_seed((self.seed << 32) + step + (1 << 31))
        clip, index = (int(torch.randint(most, (), generator=chance)) for most in (len(self.clips), TRAINED_STEPS))
        unheard, clip_level, weighting = torch.rand(3, generator=chance).tolist()
        shape = self._clip(clip).latents.shape
        level = shifted(torch.tensor((TRAINED_STEPS - index) / TRAINED_STEPS))
        noise = torch.randn(shape, generator=chance)
        return StepDraw(clip, level, noise, unheard >= UNHEARD, clip_level < CLIP_LEVEL, weighting)

    def _clip(self, number: int) -> TrainingClip:
        return TrainingClip.read(self.clips[number], self.changes.network.device)

    def loss(self, draw: StepDraw) -> VelocityLoss:
        """Return the loss of flow matching (Lipman et al. 2023): the network predicts noise minus data."""
        network, clip = self.changes.network, self._clip(draw.clip)
        noise = draw.noise.to(clip.latents)
        level = draw.level.to(network.device)
        latents = (1 - level) * clip.latents + level * noise
        features = clip.features if draw.hears or self.silence == "behind" else torch.zeros_like(clip.features)
        narrow = network.dtype is torch.bfloat16
        with torch.autocast(network.device.type, torch.bfloat16, enabled=narrow):
            predicted = network(
                latents,
                clip.condition,
                (level * TRAINED_STEPS)[None],
                network.see([clip.text], clip.image),
                features,
                heard=(draw.hears or self.silence == "before",),
                frames=PER_LATENT * (latents.shape[2] - 1) + 1,
                clip_level=draw.clip_level,
            )
        weights = weights_of(chosen_weighting(draw.weighting), clip.face, clip.lips)
        return velocity_loss(predicted, noise - clip.latents, weights)

    def save(self, path: Path) -> None:
        """Write the trained parameters, in float32, with the optimiser. Raises StudioError."""
        held = {
            "step": self.steps,
            "kind": self.changes.kind,
            "rank": self.changes.rank,
            "alpha": self.changes.alpha,
            "trained": [each.detach() for each in self.changes.parameters()],
            "optimizer": self.optimizer.state_dict(),
        }
        write_torch(held, path)

    def resume(self, path: Path) -> None:
        """Continue from a file that `save` wrote. Raises StudioError for another file, or one of another training."""
        try:
            held = torch.load(path, weights_only=True, map_location="cpu")
            asked = self.changes.kind, self.changes.rank, self.changes.alpha
            if (told := (held["kind"], held["rank"], held["alpha"])) != asked:
                raise ValueError("it was {} of rank {}, alpha {:g}".format(*told))
            with torch.no_grad():
                for mine, saved in zip(self.changes.parameters(), held["trained"], strict=True):
                    mine.copy_(saved)
            self.optimizer.load_state_dict(held["optimizer"])
            self.steps = int(held["step"])
        except Exception as error:  # loading a file of another kind may raise any exception
            raise StudioError(
                f"Training cannot continue from {path} ({str(error)[:80]}); start without --resume."
            ) from None
