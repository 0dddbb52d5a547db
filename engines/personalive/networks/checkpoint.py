"""The published checkpoints, merged as the networks need them.

The denoising network comes in three files: the Stable Diffusion UNet that it is based on, the weights changed by
training together with the motion modules, and the temporal modules. A later file overrides an earlier one, and together
they must contain every tensor, because a network with missing weights would compute noise.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from shared.errors import StudioError
from shared.weights.checkpoint import first_names

CONSTANT = (
    ".pe",
    ".idx_tensor",
    ".position_ids",
)  # tables in some checkpoints that the networks compute themselves


def merged(parts: Mapping[str, Mapping[str, Tensor]], network: nn.Module) -> dict[str, Tensor]:
    """Merge several files, by name, into one state dict for `network`; a later file overrides an earlier one.

    Raises StudioError naming what is missing or does not fit.
    """
    union = {name: tensor for part in parts.values() for name, tensor in part.items()}
    expected = network.state_dict()
    missing = [name for name in expected if name not in union and not name.endswith(CONSTANT)]
    files = ", ".join(parts)
    if missing:
        raise StudioError(
            f"{len(missing)} of {len(expected)} tensors are in none of {files}: {first_names(missing)}; download the "
            "files again."
        )
    wrong = [name for name, tensor in expected.items() if name in union and union[name].shape != tensor.shape]
    if wrong:
        raise StudioError(
            f"{len(wrong)} tensors of {files} have the wrong shape: {first_names(wrong)}; download the files again."
        )
    return {name: union.get(name, tensor) for name, tensor in expected.items()}


def fill_network(network: nn.Module, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Load the files into a network, which must be filled completely. Raises StudioError."""
    network.load_state_dict(merged(parts, network), strict=True, assign=True)
