"""`python -m tests.parity.golden_vectors.stableavatar RECORDING_SCRIPT CHECKOUT`: write small golden vectors.

They come from StableAvatar's own code.

The recording script's cases run on weights that follow from names and shapes (`tests.parity.ruled`), so that a test
needs neither the original nor a weight file. Inputs and the transformer's predictions in the loop are rounded to
sixteenths, so that a byte holds each exactly. Some values of each result are kept. Writes
tests/engines/stableavatar/golden.npz.
"""

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.parity.level import Tolerance
from tests.parity.ruled import samples, state
from tests.parity.stableavatar import CASES, LOOP, Recorded, recorded

OUT = Path(__file__).parents[2] / "engines" / "stableavatar" / "golden.npz"
SIXTEENTHS = 16
LOOPS = {"loop": ("uniform", 3), "log loop": ("log", 4)}  # scheme and overlap: some frames are in three windows


def names() -> Iterator[str]:
    """Yield the levels that have golden vectors. A LoRA needs none: its tests build on the transformer's."""
    yield from (name for name in CASES if name != "lora")
    yield "log loop"


def sixteenths(values: Tensor) -> Tensor:
    return (values * SIXTEENTHS).round().clamp(-127, 127) / SIXTEENTHS


@cache
def held() -> dict[str, NDArray[Any]]:
    with np.load(OUT, allow_pickle=False) as data:
        return dict(data)


class Unkept:
    """Placeholder for a result of which only some values are kept, under the name of the comparison."""

    def __getitem__(self, index: Any) -> "Unkept":
        return self


def judged_golden(name: str) -> Tolerance:
    """Judge a level on the golden vectors.

    The tolerance is ten times that of a recording, because weights by rule amplify rounding.
    """
    _, compare, allowed = CASES[name.removeprefix("log ")]
    level, arrays = Tolerance(name, allowed if allowed == LOOP else 10 * allowed, 0.0), held()

    def check(key: str, theirs: Tensor, ours: Tensor) -> None:
        level.check(key, arrays[f"{name}/theirs/{key}"], samples(ours))

    with torch.no_grad():
        compare(golden(name), check)
    return level


class GoldenRecording(Recorded):
    """A case of the golden vectors."""

    def found(self, name: str) -> Tensor:
        kept: Any = self.tensors.get(f"out.{name}", Unkept())
        return cast(Tensor, kept)


def golden(name: str) -> GoldenRecording:
    """Return the case of a level."""
    arrays, prefix = held(), f"{name}/"
    tensors = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
    shapes = json.loads(str(arrays["shapes"]))
    return GoldenRecording(
        tensors={
            key: torch.from_numpy(given(value)) for key, value in tensors.items() if key.startswith(("in.", "out."))
        },
        meta=json.loads(str(tensors["meta"])),
        weights=lambda of: weights_by_rule(of, shapes[of]),
        image=lambda file: torch.from_numpy(arrays[file]),
        beside=golden,
    )


def weights_by_rule(of: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return the weights of a case. Names in their networks may be longer or shorter than in the case's file."""
    longer = {"vocal_projector": "vocal_projector."}.get(of, "")
    own = {key: longer + key.removeprefix("wav2vec.") for key in shapes}
    found = state({own[key]: tuple(shape) for key, shape in shapes.items()})
    return {key: found[own[key]] for key in shapes}


def given(value: NDArray[Any]) -> NDArray[Any]:
    return value.astype(np.float32) / SIXTEENTHS if value.dtype == np.int8 else value


def packed(name: str, case: Recorded) -> dict[str, NDArray[Any]]:
    """Return what is kept of a case: its inputs, complete, and some values of each compared result."""
    kept: dict[str, NDArray[Any]] = {"meta": np.array(json.dumps(dict(case.meta)))}

    @dataclass(frozen=True, slots=True)
    class NotingRecorded(Recorded):
        def given(self, name: str) -> Tensor:
            return self.note(f"in.{name}")

        def found(self, name: str) -> Tensor:
            return self.note(f"out.{name}") if name.endswith((".noise", "latents")) else self.tensors[f"out.{name}"]

        def note(self, key: str) -> Tensor:
            value = self.tensors[key]
            whole = value.is_floating_point() and torch.equal(sixteenths(value), value)
            kept[key] = (value * SIXTEENTHS).to(torch.int8).numpy() if whole else value.numpy()
            return value

    def check(key: str, theirs: Tensor, ours: Tensor) -> None:
        kept[f"theirs/{key}"] = samples(theirs)

    with torch.no_grad():
        CASES[name.removeprefix("log ")][1](
            NotingRecorded(case.tensors, case.meta, case.weights, case.image, case.beside), check
        )
    return {f"{name}/{key}": value for key, value in kept.items()}


@contextmanager
def by_rule(peer: Any) -> Iterator[None]:
    """Patch the recording script to use weights by rule, and inputs and predictions in sixteenths."""

    def weights(module: nn.Module, seed: int) -> nn.Module:
        module.load_state_dict(state({key: tuple(each.shape) for key, each in module.state_dict().items()}))
        return module.eval()

    def in_sixteenths(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda *shape, **how: sixteenths(make(*shape, **how)) if "generator" in how else make(*shape, **how)

    def pipeline(of: Any) -> Any:
        made = original(of)
        made.transformer.register_forward_hook(lambda module, inputs, out: sixteenths(out))
        return made

    randn, rand, original = torch.randn, torch.rand, peer.make_pipeline
    peer.seed_weights, peer.make_pipeline = weights, pipeline
    torch.randn, torch.rand = in_sixteenths(randn), in_sixteenths(rand)
    try:
        yield
    finally:
        torch.randn, torch.rand = randn, rand


def forced(run: Callable[..., Any], how: dict[str, Any], *given: Any, **other: Any) -> Any:
    """Run the original's loop with the options of a level."""
    return run(*given, **other | how)


def main() -> None:
    script, checkout = Path(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, str(script.parent))
    peer: Any = import_module(script.stem)
    run, kept, shapes = peer.run_pipeline, dict[str, NDArray[Any]](), dict[str, Any]()
    with TemporaryDirectory() as folder, by_rule(peer):
        made = peer.Peer(checkout)
        for level, (scheme, overlap) in LOOPS.items():
            out = Path(folder, scheme)
            sink = peer.Sink(str(out), False)
            sink.probes = {}
            peer.run_pipeline = partial(forced, run, {"scheme": scheme, "overlap": overlap})
            cases = (
                ("pipeline",)
                if level != "loop"
                else ("transformer", "vocal", "vae", "text", "clip", "scheduler", "pipeline")
            )
            for each in cases:
                peer.CASES[each](made, sink, SimpleNamespace(check_diffusers=False))
            for path in out.glob("*.state.safetensors"):
                shapes[path.name.split(".")[0]] = {k: tuple(v.shape) for k, v in load_file(path).items()}
            for name in set(CASES) - {"lora"} if level == "loop" else (level,):
                case = recorded(out, CASES[name.removeprefix("log ")][0])
                case.meta.update({"scheme": scheme, "overlap": overlap})
                kept |= packed(name, case)
            kept["pipeline_reference.png"] = recorded(out, "pipeline_uniform").image("pipeline_reference.png").numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, shapes=np.array(json.dumps(shapes)), **kept)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_bytes(buffer.getvalue())
    print(f"{OUT}: {len(kept)} arrays, {OUT.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
