"""The published checkpoints, read safely, put together as the networks need them, and kept as safetensors.

The denoising network comes in three files: the Stable Diffusion UNet it grew from, what training changed of it with
the motion modules, and the temporal modules. A later file wins over an earlier one, and together they must cover every
tensor, or a network would run on noise.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from shared.errors import StudioError

CONSTANT = (
    ".pe",
    ".idx_tensor",
    ".position_ids",
)  # tables that some checkpoints carry and the networks make themselves
NAMED = 3  # missing tensors that the sentence names


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file. Raises StudioError."""
    if not path.is_file():
        raise StudioError(f"{path} is missing; `studio weights personalive` says where to get it.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: dict[str, Tensor] = load_file(path)
            return state
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # every reader has exceptions of its own for what is no checkpoint
        raise StudioError(f"{path} cannot be read as weights ({type(error).__name__}); download it again.") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise StudioError(f"{path} holds no plain weights; download it again.")
    return state


def merged(parts: Mapping[str, Mapping[str, Tensor]], network: nn.Module) -> dict[str, Tensor]:
    """One state dict for `network` out of several files, by name; a later file wins.

    Raises StudioError naming what is missing or does not fit.
    """
    union = {name: tensor for part in parts.values() for name, tensor in part.items()}
    expected = network.state_dict()
    missing = [name for name in expected if name not in union and not name.endswith(CONSTANT)]
    files = ", ".join(parts)
    if missing:
        raise StudioError(
            f"{len(missing)} of {len(expected)} tensors are in none of {files}: {_some(missing)}; download them again."
        )
    wrong = [name for name, tensor in expected.items() if name in union and union[name].shape != tensor.shape]
    if wrong:
        raise StudioError(f"{len(wrong)} tensors of {files} have another shape than they should: {_some(wrong)}.")
    return {name: union.get(name, tensor) for name, tensor in expected.items()}


def fill(network: nn.Module, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Load the files into a network, every tensor of it. Raises StudioError."""
    network.load_state_dict(merged(parts, network), strict=True, assign=True)


def keep(state: Mapping[str, Tensor], path: Path) -> None:
    """Write a state dict as safetensors, whole or not at all. Raises StudioError."""
    from safetensors.torch import save_file

    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StudioError(f"{path} cannot be written ({error.strerror}); make room or allow writing there.") from None


def is_newer(path: Path, than: Iterable[Path]) -> bool:
    """Whether a converted file is there, and none of what it was made from has changed since."""
    return path.is_file() and all(path.stat().st_mtime >= source.stat().st_mtime for source in than if source.exists())


def _some(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
