"""Filling of a network that was created without tensors; every tensor must be present."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from shared.weights.checkpoint import check_state

TABLES = ("position_ids",)  # tables that a network computes itself


def filled(network: Any, state: Mapping[str, Tensor], file: str) -> Any:
    """Return the network, created on the "meta" device, with these tensors, ready to compute. Raises StudioError."""
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    spare = [name for name in wanted if name.rsplit(".", 1)[-1] in TABLES]
    held = check_state(dict(state), wanted, file, spare=spare, strict=False)
    network.load_state_dict(held, strict=False, assign=True)
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                module.register_buffer(name, _table(name, buffer), persistent=False)
    return network.eval().requires_grad_(False)


def _table(name: str, buffer: Tensor) -> Tensor:
    import torch

    assert name == "position_ids", name
    return torch.arange(buffer.shape[-1]).expand(buffer.shape)
