"""The published checkpoints, made to fit: names, spectral norm, and what a file carries besides."""

from collections.abc import Mapping

from torch import Tensor


def folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with spectral norm taken out: weight = weight_orig / (u . W v), with the stored vectors u and v.

    sigma is theirs and not the true largest singular value: the network was trained with it.
    """
    plain = {name: value for name, value in state.items() if not name.endswith(("_orig", "_u", "_v"))}
    for name in (name for name in state if name.endswith(".weight_orig")):
        base = name.removesuffix("_orig")
        weight = state[name]
        sigma = state[f"{base}_u"] @ (weight.reshape(len(weight), -1) @ state[f"{base}_v"])
        plain[base] = weight / sigma
    return plain


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the `module.` that data-parallel training puts into names."""
    return {name.replace("module.", ""): value for name, value in state.items()}
