"""Low-rank changes of the transformer (Hu et al. 2021), in the file format of StableAvatar's training scripts.

A linear layer's weight W becomes W + strength * alpha / rank * up @ down. Merged into the weights they cost nothing;
applied live, they are computed beside the layer and can be removed again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.errors import StudioError
from shared.weights.checkpoint import load_state

PREFIX = "lora_transformer__"
DOWN, UP, ALPHA = "lora_down.weight", "lora_up.weight", "alpha"


@dataclass(frozen=True, slots=True)
class LowRank:
    """Change of one layer. down: (rank, in). up: (out, rank). scale: alpha / rank."""

    down: Tensor
    up: Tensor
    scale: float


def read_lora(path: Path, network: nn.Module) -> dict[str, LowRank]:
    """Read the changes in a file, by layer name, and check that they fit a network. Raises StudioError."""
    return lora_of(load_state(path), network, path.name)


def lora_of(state: Mapping[str, Tensor], network: nn.Module, file: str) -> dict[str, LowRank]:
    """Return the low-rank changes in these tensors, by layer name. Raises StudioError in one sentence."""
    linear = {name.replace(".", "_"): name for name, each in network.named_modules() if isinstance(each, nn.Linear)}
    changes: dict[str, LowRank] = {}
    for key in state:
        layer, _, part = key.partition(".")
        if not layer.startswith(PREFIX) or part not in (DOWN, UP, ALPHA):
            raise StudioError(
                f"{file} has a tensor {key[:80]}, which does not belong to a LoRA for StableAvatar; use another file."
            )
        if layer.removeprefix(PREFIX) not in linear:
            raise StudioError(
                f"{file} changes {layer[:80]}, a layer that StableAvatar does not have; use another file."
            )
        name = linear[layer.removeprefix(PREFIX)]
        if name not in changes:
            changes[name] = _change(state, layer, network.get_submodule(name), file)
    if not changes:
        raise StudioError(f"{file} changes no layer; use another file.")
    return changes


def _change(state: Mapping[str, Tensor], layer: str, linear: Any, file: str) -> LowRank:
    parts = {part: state.get(f"{layer}.{part}") for part in (DOWN, UP, ALPHA)}
    down, up, alpha = parts[DOWN], parts[UP], parts[ALPHA]
    if down is None or up is None:
        raise StudioError(f"{file} has only one half of {layer[:80]}; download it again.")
    rank = len(down)
    if down.ndim != 2 or up.ndim != 2 or up.shape[1] != rank or not rank:
        raise StudioError(
            f"{file} has ranks {tuple(down.shape)} and {tuple(up.shape)} in {layer[:80]}, which do not match; "
            "use another file."
        )
    if (len(up), down.shape[1]) != tuple(linear.weight.shape):
        raise StudioError(
            f"{file} changes {layer[:80]} from {down.shape[1]} to {len(up)} channels, where it has"
            f" {linear.weight.shape[1]} and {linear.weight.shape[0]}; use another file."
        )
    return LowRank(down, up, 1.0 if alpha is None else float(alpha) / rank)


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read
def merge(network: nn.Module, changes: Mapping[str, LowRank], strength: float = 1.0) -> None:
    """Merge the changes into the network's weights, computed in float32."""
    for name, change in changes.items():
        weight = network.get_submodule(name).get_parameter("weight")
        up, down = (each.to(weight.device, torch.float32) for each in (change.up, change.down))
        weight.copy_((weight.float() + strength * change.scale * (up @ down)).to(weight.dtype))


class LiveLora:
    """Changes applied beside a network's layers; `strength` may be set while they are active."""

    def __init__(self, network: nn.Module, changes: Mapping[str, LowRank], strength: float = 1.0) -> None:
        self.strength = strength
        self._hooks = [
            network.get_submodule(name).register_forward_hook(self._beside(change)) for name, change in changes.items()
        ]

    def remove(self) -> None:
        """Remove the changes from the network."""
        for hook in self._hooks:
            hook.remove()

    def _beside(self, change: LowRank) -> Any:
        def add(layer: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
            down, up = (each.to(out.device, out.dtype) for each in (change.down, change.up))
            return out + self.strength * change.scale * (given[0].to(out.dtype) @ down.T @ up.T)

        return add
