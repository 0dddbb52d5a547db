"""`python -m tests.parity.golden_vectors.personalive DUMP`: write golden vectors from a recording of the original.

They are small; the recording is in float32.

Weights and inputs of a recording follow from its seed and their names, so that tests derive them again. Kept are only
the original's results, some values of each array. Writes tests/engines/personalive/golden.npz.
"""

import hashlib
import io
import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.parity.recording import Array, Case

OUT = Path(__file__).parents[2] / "engines" / "personalive" / "golden.npz"
CASES = (
    "schedule",
    "pose_image",
    "pose_guider",
    "motion_extractor",
    "motion_encoder_parts",
    "motion_encoder",
    "inserted_modules",
    "reference_unet",
    "denoising_unet",
    "streaming",
)
CHUNKS = 11  # of the loop: the tenth call makes the first keyframe, and the eleventh uses it
SPREAD, PEAKS = 96, 32  # number of values kept of an array: at random, and the greatest
GAINS = (1.0, 0.4, 1.5)  # factors of the recording script on a network's matrices
SCALES = (1.0, 0.3, 0.05)  # and on its inputs
TABLES = ("pe", "pos_embed", "num_batches_tracked", "position_ids")


def normal(*key: object) -> np.random.Generator:
    """Return the recording's random generator for this name."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "little")))


def weight(key: tuple[object, ...], name: str, like: Tensor, gain: float) -> Tensor:
    """Derive a tensor of a recorded network."""
    leaf, values = name.rsplit(".", 1)[-1], normal(*key, name).standard_normal(tuple(like.shape))
    if leaf == "running_var":
        values = 1 + 0.2 * np.abs(values)
    elif leaf in ("bias", "beta", "running_mean"):
        values = 0.05 * values
    elif like.ndim >= 2 and leaf != "gamma":
        values = values * gain / np.sqrt(max(1, int(np.prod(like.shape[1:]))))
    else:
        values = 1 + 0.1 * values if leaf == "weight" else 0.05 * values
    return torch.from_numpy(np.ascontiguousarray(values)).to(like.dtype)


class GoldenCase(Case):
    """A case of the golden vectors. Values of an array that were not kept are NaN."""

    @classmethod
    def open(cls, name: str) -> "GoldenCase":
        arrays = {key.removeprefix(f"{name}/"): value for key, value in held().items() if key.startswith(f"{name}/")}
        return cls(arrays, json.loads(str(arrays["meta"])))

    def given(self, name: str) -> Array:
        if f"in_{name}" in self.arrays:
            return self.arrays[f"in_{name}"]
        shape, scale = self.meta["inputs"][name]
        if name.startswith("frames"):
            return self._driven(int(name[6:]))
        kind = ("noise", int(name[5:])) if name[5:].isdigit() else ("input", name)
        values = normal(self.meta["seed"], self.meta["case"], *kind).standard_normal(shape) * scale
        return np.asarray(values, np.float32)

    def _driven(self, chunk: int) -> Array:
        """Return the frames of a loop's driver: an image that is shifted from frame to frame."""
        frame = self.arrays[f"in_image_drive{chunk // 3}"].astype(np.float32)
        frames = [np.roll(frame, (4 * chunk + i, 2 * i), (0, 1)) for i in range(4)]
        return np.stack(frames).transpose(0, 3, 1, 2) / np.float32(255) * np.float32(2) - np.float32(1)

    def found(self, name: str) -> Array:
        if f"out_{name}" in self.arrays:
            return self.arrays[f"out_{name}"]
        index, values = self.arrays[f"at_{name}"], self.arrays[f"some_{name}"]
        full = np.full(self.meta["outputs"][name], np.nan, np.float32)
        full.flat[index] = values
        return full

    def weights(self, name: str, network: nn.Module) -> dict[str, Tensor]:
        key, gain = (self.meta["seed"], self.meta["case"], name), self.meta["gains"][name]
        state = network.state_dict()
        kept = {each: self.arrays.get(f"weight_{name}/{each}") for each in state}
        return {
            each: torch.from_numpy(kept[each])
            if kept[each] is not None
            else tensor
            if each.rsplit(".", 1)[-1] in TABLES
            else weight(key, each, tensor, gain)
            for each, tensor in state.items()
        }


@cache
def held() -> dict[str, Any]:
    with np.load(OUT, allow_pickle=False) as data:
        return dict(data)


def main() -> None:
    kept: dict[str, Array] = {}
    for name in CASES:
        for key, value in pick(Case.read(Path(sys.argv[1]) / name)).items():
            kept[f"{name}/{key}"] = value
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **kept)
    OUT.write_bytes(buffer.getvalue())
    print(f"{OUT}: {len(kept)} arrays, {OUT.stat().st_size // 1000} kB")


def pick(case: Case) -> dict[str, Array]:
    """Return the arrays to keep of a case."""
    meta: dict[str, Any] = {key: case.meta[key] for key in ("case", "seed", "constructors", "log") if key in case.meta}
    meta |= {"inputs": {}, "outputs": {}, "gains": {}}
    if "log" in meta:
        meta["log"] = meta["log"][:CHUNKS]
    kept: dict[str, Array] = {}
    for name in case.arrays:
        value, short = case.arrays[name], name.split("_", 1)[1]
        of_loop = short.startswith(("frames", "video", "latents", "motion", "pose", "noise")) and short[-2:].isdigit()
        if of_loop and int(short[-2:]) >= CHUNKS + short.startswith("noise"):
            continue
        if short.startswith("image_drive") and int(short[11:]) > (CHUNKS - 1) // 3:
            continue
        if name.startswith("out_"):
            keep_output(kept, meta, short, value)
        elif not keep_derived(meta, case.arrays, short, value):
            kept[name] = value
    for path in sorted(case.folder.glob("*.safetensors") if case.folder else ()):
        keep_weights(kept, meta, path.stem, case)
    return kept | {"meta": np.array(json.dumps(meta))}


def keep_output(kept: dict[str, Array], meta: dict[str, Any], name: str, value: Array) -> None:
    if value.size <= SPREAD + PEAKS or not np.issubdtype(value.dtype, np.floating):
        kept[f"out_{name}"] = value
        return
    spread = normal("kept", name).integers(0, value.size, SPREAD)
    greatest = np.argsort(np.abs(value), axis=None)[-PEAKS:]
    index = np.unique(np.concatenate([spread, greatest])).astype(np.uint32)
    kept[f"at_{name}"], kept[f"some_{name}"] = index, value.flat[index].astype(np.float32)
    meta["outputs"][name] = value.shape


def keep_derived(meta: dict[str, Any], frames: Mapping[str, Array], name: str, value: Array) -> bool:
    """Whether an input can be derived from its name; if so, its shape and scale are noted in `meta`."""
    probe = GoldenCase({key: each for key, each in frames.items() if "image" in key}, meta)
    for scale in SCALES:
        meta["inputs"][name] = (value.shape, scale)
        if value.dtype == np.float32 and np.array_equal(probe.given(name), value):
            return True
    del meta["inputs"][name]
    return False


def keep_weights(kept: dict[str, Array], meta: dict[str, Any], name: str, case: Case) -> None:
    """Note a network's gain, and keep the weights that the recording script changed afterwards."""
    state = case.weights(name, nn.Module())
    names = [each for each in state if each.rsplit(".", 1)[-1] not in (*TABLES, "idx_tensor")]
    key = (meta["seed"], meta["case"], name)

    def others(gain: float) -> list[str]:
        return [each for each in names if not torch.equal(weight(key, each, state[each], gain), state[each])]

    meta["gains"][name] = min(GAINS, key=lambda gain: len(others(gain)))
    for each in others(meta["gains"][name]):
        kept[f"weight_{name}/{each}"] = state[each].numpy()


if __name__ == "__main__":
    main()
