"""Numbers that follow from a name and a shape alone: weights and inputs that need not be stored in a file.

They are chosen so that activations stay near one and every tensor matters, including running statistics and stored
singular vectors.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# By part of the name: the gain of a weight beyond 1 / sqrt(fan in).
GAINS = {
    "fc_exp": 0.1, "fc_kp": 0.8, "fc_t": 0.2, "fc_scale": 0.2, "fc_pitch": 2.5, "fc_yaw": 2.5, "fc_roll": 2.5,
    "mlp_gamma": 0.6, "mlp_beta": 0.6, "conv_img": 0.7, "occlusion": 2.5, "network.mask": 3.0,
}  # fmt: skip
POWER_STEPS = 4


def uniform(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return numbers in -1..1 by splitmix64, seeded with the name's hash."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    with np.errstate(over="ignore"):
        x = np.uint64(seed) + np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x.astype(np.float64) / 2**63 - 1.0).reshape(shape).astype(np.float32)


def state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return a state dict for the published names and shapes."""
    out = {name: torch.from_numpy(_tensor(name, tuple(shape))) for name, shape in shapes.items()}
    for name in [name for name in out if name.endswith("weight_orig")]:
        weight = out[name].double().reshape(len(out[name]), -1)
        u = torch.ones(len(weight), dtype=torch.float64)
        for _ in range(POWER_STEPS):  # the result is near the greatest singular value, but not equal to it
            v = nn.functional.normalize(weight.T @ u, dim=0)
            u = nn.functional.normalize(weight @ v, dim=0)
        out[name.replace("_orig", "_u")], out[name.replace("_orig", "_v")] = u.float(), v.float()
    return out


def published_shapes(net: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return our network's names and shapes as in the checkpoint, where the decoder's blocks have spectral norm."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in net.state_dict().items():
        shape = tuple(value.shape)
        if name.endswith(".weight") and any(f".{conv}." in name for conv in ("conv_0", "conv_1", "conv_s")):
            shapes |= {f"{name}_orig": shape, f"{name}_u": shape[:1], f"{name}_v": (int(np.prod(shape[1:])),)}
        else:
            shapes[name] = shape
    return shapes


def samples(out: Tensor, count: int = 256) -> NDArray[np.float32]:
    """Return some of an output's values, evenly from the first to the last."""
    flat = out.detach().float().flatten().numpy()
    return np.asarray(flat[np.linspace(0, len(flat) - 1, min(count, len(flat))).astype(int)], np.float32)


def _tensor(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    x = uniform(name, shape)
    if name.endswith("num_batches_tracked"):
        return np.ones(shape, np.int64)
    if name.endswith("running_var"):
        return 1.0 + 0.5 * x
    if name.endswith("running_mean") or ".grn." in name:
        return 0.3 * x
    if len(shape) >= 2:
        gain = next((gain for part, gain in GAINS.items() if part in name), 1.4)
        return x * np.float32(3**0.5 * gain / np.prod(shape[1:]) ** 0.5)
    if name.endswith("weight"):
        return 1.0 + 0.3 * x
    return 0.1 * x
