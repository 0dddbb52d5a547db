"""A recording of an original: for each case a folder with `io.npz`, `meta.json` and the weights of its networks."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

# Allowed difference by rounding, as a fraction of an array's greatest value.
TOLERANCE = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 2e-5, np.dtype(np.float16): 2e-5}

Array = NDArray[Any]
Pairs = Iterator[tuple[str, Any, Array]]  # compared values: name, ours (array or tensor), theirs


class Case:
    """One case of a recording."""

    def __init__(self, arrays: Mapping[str, Array], meta: dict[str, Any], folder: Path | None = None) -> None:
        self.arrays, self.meta, self.folder = arrays, meta, folder

    @classmethod
    def read(cls, folder: Path) -> "Case":
        arrays = dict(np.load(folder / "io.npz"))
        assert not any(np.isnan(each).any() for each in arrays.values()), folder
        return cls(arrays, json.loads((folder / "meta.json").read_text(encoding="utf-8")), folder)

    def given(self, name: str) -> Array:
        return self.arrays["in_" + name]

    def found(self, name: str) -> Array:
        return self.arrays["out_" + name]

    def weights(self, name: str, network: nn.Module) -> dict[str, Tensor]:
        """The original's weights for our network."""
        assert self.folder is not None
        return dict(load_file(self.folder / f"{name}.safetensors"))


@dataclass(frozen=True, slots=True)
class Deviation:
    """Greatest difference between ours and theirs in a case, as a fraction of that array's greatest value."""

    name: str
    arrays: int
    worst: float
    allowed: float
    where: str

    @property
    def agrees(self) -> bool:
        return self.arrays > 0 and self.worst <= self.allowed

    def __str__(self) -> str:
        said = "agrees " if self.agrees else "DIFFERS"
        far = f"farthest {self.where} by {self.worst:.1e} of its maximum, allowed {self.allowed:.0e}"
        return f"{said} {self.name:22s} {self.arrays:3d} arrays, {far}"


def compare(name: str, pairs: Pairs) -> Deviation:
    """Return the worst of all arrays, each relative to its allowed difference."""
    level, farthest, count = Deviation(name, 0, 0.0, 0.0, "nothing"), 0.0, 0
    for count, (where, ours, theirs) in enumerate(pairs, 1):
        allowed = TOLERANCE.get(theirs.dtype, 0.0)  # whole numbers must be equal
        worst = distance(np.asarray(ours), theirs)
        share = worst / (allowed or 1e-300)
        if share >= farthest:
            farthest, level = share, Deviation(name, count, worst, allowed, where)
    return Deviation(name, count, level.worst, level.allowed, level.where)


def distance(ours: Array, theirs: Array) -> float:
    """Return the greatest difference over the greatest value; infinite for another shape or if ours is not finite.

    NaN in theirs stands for values that were not kept.
    """
    if ours.shape != theirs.shape:
        return float("inf")
    kept = ~np.isnan(theirs) if np.issubdtype(theirs.dtype, np.floating) else np.full(theirs.shape, True)
    a, b = ours[kept].astype(np.float64), theirs[kept].astype(np.float64)
    apart, greatest = np.abs(a - b).max(initial=0.0), np.abs(b).max(initial=0.0)
    return float(apart / max(greatest, 1e-12)) if np.isfinite(apart) else float("inf")


def levels_of(cases: Mapping[str, Callable[[Case], Pairs]], dump: Path) -> Iterator[Deviation]:
    """Yield the deviation of each case of a recording; that of a missing case does not agree."""
    for name, case in cases.items():
        folder = dump / name
        pairs: Pairs = case(Case.read(folder)) if (folder / "io.npz").is_file() else iter(())
        yield compare(name, pairs)
