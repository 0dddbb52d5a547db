"""Loads the tensors of a checkpoint without executing any code in it."""

import pickle
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import StudioError
from shared.weights.probe import damage

if TYPE_CHECKING:
    from torch import Tensor

StateDict = dict[str, "Tensor"]

WRAPPERS = ("state_dict", "model", "module", "params", "params_ema", "net_g", "generator")
PREFIX = "module."  # prefix that torch's data parallelism adds to every name
NAMED = 3  # tensors named in one sentence
AGAIN = "replace it with a complete file; `studio weights pull` downloads those that are published."


def load_state(path: Path, key: str | None = None) -> StateDict:
    """Return the tensors in a file by name, on the CPU; the file is safetensors or was written by torch.save.

    key: name of the wanted network in a file of several. A wrapper around the state ("state_dict", ...) and the prefix
    "module." are removed, and values that are not tensors are omitted. No pickle is ever executed: a file that would
    construct anything but tensors is refused. Raises StudioError with one sentence.
    """
    try:
        reason = damage(path)
    except OSError as error:
        raise StudioError(f"{path} cannot be read ({error.strerror}); see `studio weights list`.") from None
    if reason:
        raise StudioError(f"{path} {reason}; {AGAIN}")
    held = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    return _unwrapped(held, path, key)


def _safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        loaded: Mapping[str, Any] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise StudioError(f"{path} cannot be loaded ({error}); {AGAIN}") from None
    return loaded


def _pickled(path: Path) -> Any:
    import torch

    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the errors below describe faults of the file
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError:
        raise StudioError(
            f"{path} contains more than tensors, which could run code; it was refused. Use the authors' own file."
        ) from None
    except Exception as error:  # torch may raise anything for an invalid file
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise StudioError(f"{path} cannot be loaded ({first}); {AGAIN}") from None


def _unwrapped(held: Any, path: Path, key: str | None) -> StateDict:
    import torch

    if key is not None:
        if not isinstance(held, Mapping) or not isinstance(held.get(key), Mapping):
            raise StudioError(
                f"{path} has no network '{key}' in it; `studio weights list` shows which file the engine needs."
            )
        held = held[key]
    while isinstance(held, Mapping) and not any(isinstance(each, torch.Tensor) for each in held.values()):
        inner = [held[name] for name in WRAPPERS if isinstance(held.get(name), Mapping)]
        if not inner:
            break
        held = inner[0]
    if not isinstance(held, Mapping):
        raise StudioError(f"{path} holds no tensors; `studio weights list` shows which file the engine needs.")
    state = {str(name): each for name, each in held.items() if isinstance(each, torch.Tensor)}
    if not state:
        raise StudioError(f"{path} holds no tensors; `studio weights list` shows which file the engine needs.")
    if all(name.startswith(PREFIX) for name in state):
        state = {name.removeprefix(PREFIX): each for name, each in state.items()}
    return state


def check_state(
    state: StateDict,
    wanted: Mapping[str, tuple[int, ...]],
    what: str,
    *,
    spare: Collection[str] = (),
    strict: bool = True,
) -> StateDict:
    """Return the tensors of `state` that a network needs, after checking that all exist and have the right shape.

    wanted: shape of each tensor by name. what: name of the file or network in the sentence. spare: names that may be
    absent (constants that the network creates itself). strict: also refuse names that are not wanted. Raises
    StudioError.
    """
    missing = [name for name in wanted if name not in state and name not in spare]
    unknown = [name for name in state if name not in wanted]
    bent = [
        f"{name} is {_shape(tuple(state[name].shape))} instead of {_shape(shape)}"
        for name, shape in wanted.items()
        if name in state and tuple(state[name].shape) != tuple(shape)
    ]
    told = [f"lacks {first_names(missing)}"] if missing else []
    told += [f"has {first_names(unknown)} too many"] if unknown and strict else []
    told += [first_names(bent)] if bent else []
    if told:
        raise StudioError(
            f"{what} does not fit the network: it {', and '.join(told)}; does it belong to another version?"
        )
    return {name: state[name] for name in wanted if name in state}


def first_names(names: list[str]) -> str:
    """Return the first NAMED of these names and the number of further ones, for a sentence."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"


def fold_spectral_norm(state: StateDict) -> StateDict:
    """Remove spectral norm from a network: `weight` replaces `weight_orig`, `weight_u` and `weight_v`.

    weight = weight_orig / sigma, sigma = u . (W v) with W = weight_orig as a matrix (out, -1) and the stored u and v,
    as torch.nn.utils.spectral_norm does in eval mode (Miyato et al. 2018, without another power iteration). Computed in
    float32, stored in the original dtype. Raises StudioError for incomplete tensors or a sigma that is 0 or not finite.
    """
    import torch

    folded = {name: each for name, each in state.items() if not name.endswith(("weight_orig", "weight_u", "weight_v"))}
    for name, each in state.items():
        if not name.endswith("weight_orig"):
            continue
        stem = name.removesuffix("_orig")
        if f"{stem}_u" not in state or f"{stem}_v" not in state:
            raise StudioError(f"The checkpoint has {name} without {stem}_u and {stem}_v; download it again.")
        original, u, v = each.float(), state[f"{stem}_u"].float(), state[f"{stem}_v"].float()
        matrix = original.reshape(original.shape[0], -1)
        if (matrix.shape[0],) != u.shape or (matrix.shape[1],) != v.shape:
            raise StudioError(f"The checkpoint's {stem}_u and {stem}_v do not fit {name}; download it again.")
        sigma = torch.dot(u, torch.mv(matrix, v))
        if not torch.isfinite(sigma) or sigma == 0:
            raise StudioError(
                f"The checkpoint's {stem} cannot be folded: its spectral norm is {float(sigma)}; download it again."
            )
        folded[stem] = (original / sigma).to(each.dtype)
    return folded
