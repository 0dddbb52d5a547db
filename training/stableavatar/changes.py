"""The trained parts of the transformer, and their files in the published form."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from engines.stableavatar.networks.lora import ALPHA, DOWN, PREFIX, UP, LiveLora, LowRank
from engines.stableavatar.networks.transformer import Transformer
from training.torch_file import write_torch

TunedPart = Literal["lora", "full"]
HEARING = "vocal"  # part of the names of speech layers: a LoRA omits them, so they are trained in full beside it
WHOLE = ("blocks", "attn", HEARING)  # parts of the names of tensors that full training changes: not embeddings and head


def lora_layers(network: nn.Module) -> list[str]:
    """Return the names of the linear layers that a LoRA changes."""
    return [name for name, each in network.named_modules() if isinstance(each, nn.Linear) and HEARING not in name]


def trained_tensors(network: nn.Module, kind: TunedPart) -> list[str]:
    """Return the names of the transformer's own tensors that are trained."""
    parts = (HEARING,) if kind == "lora" else WHOLE
    return [name for name, _ in network.named_parameters() if any(part in name for part in parts)]


@dataclass(slots=True)
class TrainedChanges:
    """The transformer with its trained tensors in float32, and its LoRA. rank, alpha: the LoRA's."""

    network: Transformer
    kind: TunedPart
    rank: int
    alpha: float
    low_rank: dict[str, LowRank] = field(init=False, default_factory=dict)
    own: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.network.requires_grad_(False)
        for name in trained_tensors(self.network, self.kind):
            parameter = self.network.get_parameter(name)
            parameter.data = parameter.data.float()
            self.own[name] = parameter.requires_grad_(True)
        if self.kind == "lora":
            generator = torch.Generator().manual_seed(1)
            for name in lora_layers(self.network):
                linear: Any = self.network.get_submodule(name)
                self.low_rank[name] = self._begun(linear, generator)
            LiveLora(self.network, self.low_rank)

    def _begun(self, linear: Any, generator: torch.Generator) -> LowRank:
        """Return a low-rank change that has no effect yet, because `up` is zero."""
        bound = 1 / math.sqrt(linear.in_features)
        down = (torch.rand(self.rank, linear.in_features, generator=generator) * 2 - 1) * bound
        up = torch.zeros(linear.out_features, self.rank)
        at = linear.weight.device
        return LowRank(nn.Parameter(down.to(at)), nn.Parameter(up.to(at)), self.alpha / self.rank)

    def parameters(self) -> list[Any]:
        """Return all trained parameters, in a stable order."""
        return [*self.own.values(), *(part for each in self.low_rank.values() for part in (each.down, each.up))]

    def lora_state(self) -> dict[str, Tensor]:
        """Return the LoRA's tensors by their published names."""
        state = dict[str, Tensor]()
        for name, each in self.low_rank.items():
            stem = PREFIX + name.replace(".", "_")
            state |= {f"{stem}.{DOWN}": each.down.detach().cpu(), f"{stem}.{UP}": each.up.detach().cpu()}
            state[f"{stem}.{ALPHA}"] = torch.tensor(float(self.alpha))
        return state

    def save(self, folder: Path, step: int) -> list[Path]:
        """Write files for the engine's options `checkpoint` and, for a LoRA, `lora`. Raises StudioError."""
        dtype = self.network.dtype
        state = {name: each.detach().to("cpu", dtype) for name, each in self.network.state_dict().items()}
        written = [write_torch(state, folder / f"transformer3d-checkpoint-{step}.pt")]
        if self.low_rank:
            written.append(write_torch(self.lora_state(), folder / f"lora-checkpoint-{step}.pt"))
        return written
