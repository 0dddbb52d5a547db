"""What an engine needs of this machine, seen without importing any of it."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from shared.errors import StudioError
from shared.weights import engine_weights, lacking

TORCH = ("torch", "safetensors")
DIFFUSION = (*TORCH, "diffusers", "transformers")


def unmet(name: str, modules: Sequence[str] = TORCH, *, gpu: bool = False) -> str | None:
    """One sentence saying what keeps an engine of the manifest from running here and what would help, or None.

    modules: packages it imports. gpu: it is no use without an NVIDIA GPU.
    """
    title = engine_weights(name).title
    absent = [module for module in modules if find_spec(module) is None]
    if absent:
        they = "it" if len(absent) == 1 else "them"
        return f"{title} needs {' and '.join(absent)}; `make setup-torch` installs {they}."
    if gpu and not has_gpu():
        return f"{title} needs an NVIDIA GPU, and this machine has none; choose mesh, or run it where there is one."
    try:
        return lacking(name) or None
    except StudioError as error:
        return str(error)


def has_gpu() -> bool:
    """Whether the NVIDIA driver shows a GPU."""
    return any(Path("/dev").glob("nvidia[0-9]*"))
