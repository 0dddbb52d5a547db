"""Deterministic stand-in weights: every tensor of a network is computed from its name and shape alone.

Two processes get the same weights without sharing a file. The values are noise with the magnitudes of a trained
network: matrices are scaled by their number of inputs, scale factors are near 1, offsets near 0.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import nn

TABLES = ("pe", "pos_embed", "idx_tensor", "position_ids", "num_batches_tracked")  # buffers that keep their own values
GAIN = 0.5  # of every matrix; with 1 a deep untrained network would amplify every rounding error
CALM = 0.02  # factor on the last layer: its output is not the real noise, and dividing by the noise level amplifies it
STILL = 0.02  # factor on the head-pose weights: key points then stay roughly where a face's would be


def seeded(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return float64 normal random numbers of this shape, seeded by the name alone."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)


def by_rule(network: Any, name: str) -> Any:
    """Fill the network's tensors with values computed from their names, in place, and return it.

    Precision and device do not change.
    """

    def fill(entry: tuple[str, torch.Tensor]) -> None:
        key, tensor = entry
        if tensor.is_floating_point() and key.rsplit(".", 1)[-1] not in TABLES:
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(_values(f"{name}/{key}", tuple(tensor.shape))))

    with ThreadPoolExecutor() as pool:  # numpy releases the GIL, so gigabytes take seconds
        list(pool.map(fill, network.state_dict().items()))
    return network


def _values(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.floating[Any]]]:
    normal, leaf = np.asarray(seeded(name, shape)), name.rsplit(".", 1)[-1]
    if leaf == "running_var":
        return 1 + 0.2 * abs(normal)
    if len(shape) > 1 and leaf != "gamma":
        return np.asarray(normal * (GAIN / np.sqrt(np.prod(shape[1:]))))
    return 1 + 0.1 * normal if leaf == "weight" else 0.05 * normal


def calmed(denoising: nn.Module) -> Any:
    """Scale the denoising network's last layer so that it predicts almost no noise, and return the network."""
    with torch.no_grad():
        denoising.get_submodule("conv_out").get_parameter("weight").mul_(CALM)
    return denoising


def place_key_points(extractor: Any) -> Any:
    """Set the motion extractor's heads to key points of a centred face that depend slightly on the input; return it."""
    heads = extractor.detector
    spread = torch.from_numpy(np.clip(seeded("points", (63,)) * 0.2, -0.4, 0.4))
    with torch.no_grad():
        heads.fc_kp.bias.copy_(spread)
        heads.fc_scale.bias.fill_(1.0)
        for head in (heads.fc_kp, heads.fc_scale, heads.fc_t):
            head.weight.mul_(STILL)
        for head in (heads.fc_pitch, heads.fc_yaw, heads.fc_roll):
            head.bias.copy_(-((torch.arange(66.0) - 32.5) ** 2) / 20)
    return extractor
